import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { within } from '../../src/base/async.ts';

type Step = () => unknown;

const PATIENCE_MS = 10_000;

/** What a bench has started and made, undone in reverse order. What is added after that is undone at once. */
export class Scope {
  private readonly steps = new Set<Step>();
  private closing: Promise<void> | undefined;

  defer(step: Step): void {
    this.steps.add(step);
    if (this.closing) this.closing = this.closing.then(() => this.undo());
  }

  /** A folder of our own below the system's temporary one; other users may pass, as PostgreSQL's has to for root. */
  async folder(name: string): Promise<string> {
    const folder = await realpath(await mkdtemp(join(tmpdir(), `helix-bench-${name}-`)));
    this.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    await chmod(folder, 0o755);
    return folder;
  }

  /** A process of ours: ended by `signal`, and by SIGKILL should it not follow. */
  spawn(
    command: string,
    args: readonly string[],
    options: SpawnOptions,
    signal: NodeJS.Signals = 'SIGKILL',
  ): ChildProcess {
    const child = spawn(command, args, options);
    child.on('error', () => undefined);
    const end = (): Promise<void> => endChild(child, signal);
    this.defer(end);
    child.once('exit', () => this.steps.delete(end));
    return child;
  }

  /** Runs a task with a scope of its own, which ends with it. */
  async nested<T>(task: (scope: Scope) => Promise<T>): Promise<T> {
    const scope = new Scope();
    const close = (): Promise<void> => scope.close();
    this.defer(close);
    try {
      return await task(scope);
    } finally {
      await close();
      this.steps.delete(close);
    }
  }

  close(): Promise<void> {
    this.closing ??= this.undo();
    return this.closing;
  }

  private async undo(): Promise<void> {
    for (let step = this.last(); step; step = this.last()) {
      this.steps.delete(step);
      try {
        await step();
      } catch (error) {
        console.error(error);
      }
    }
  }

  private last(): Step | undefined {
    return [...this.steps].at(-1);
  }
}

const hasEnded = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

export async function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  for (const name of [signal, 'SIGKILL'] as const) {
    if (hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill(name);
    await within(PATIENCE_MS, ended);
  }
}
