import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import getPort from 'get-port';
import { systemClock } from '../../../src/base/async.ts';
import { type PostgresConfig, postgresEnvironment } from '../../../src/postgres/config.ts';
import { type Engine, type EnginePreference, findEngines } from '../../../src/postgres/engines.ts';
import { waitFor } from '../../support/wait.ts';

/** Found from the bundled test, wherever it stands. */
export const repoRoot = ((): string => {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
})();

/** The built programs; another folder while somebody else is building. */
export const dist = process.env['HELIX_TEST_DIST'] ?? join(repoRoot, 'dist');

export const embeddedRoots = [repoRoot];

const engines = new Map<EnginePreference, Promise<Engine | undefined>>();

export function engineOf(preference: EnginePreference): Promise<Engine | undefined> {
  let found = engines.get(preference);
  if (!found) engines.set(preference, (found = findEngines({ preference, embeddedRoots }).then(([first]) => first)));
  return found;
}

/** The engine, or the suite is skipped and says why. */
export async function engineOrSkip(context: Mocha.Context, preference: EnginePreference): Promise<Engine> {
  const engine = await engineOf(preference);
  if (engine) return engine;
  return skip(context, `no ${preference} PostgreSQL here`);
}

/** Skips a test, or from a `before` hook all tests beside it, with the reason in the report. */
export function skip(context: Mocha.Context, reason: string): never {
  const runnable = context.runnable();
  const isHook = runnable.title.startsWith('"before');
  const tests = isHook ? (runnable.parent?.tests ?? []) : [runnable];
  for (const test of tests) test.title += ` (skipped: ${reason})`;
  return context.skip();
}

/** What a test makes is undone in reverse order, also when it fails. */
export class Cleanup {
  private readonly tasks: (() => Promise<unknown> | void)[] = [];

  add(task: () => Promise<unknown> | void): void {
    this.tasks.push(task);
  }

  async run(): Promise<void> {
    for (let task = this.tasks.pop(); task; task = this.tasks.pop()) await task();
  }

  /** A folder that the server's user can reach, as mkdtemp's own cannot. */
  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'helix-postgres-'));
    await chmod(folder, 0o755);
    this.add(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    return folder;
  }

  program(file: string, env: NodeJS.ProcessEnv, options: { cwd?: string; detached?: boolean } = {}): Program {
    const program = new Program(file, env, options);
    this.add(() => program.end());
    return program;
  }

  async config(changes: Partial<PostgresConfig> = {}): Promise<PostgresConfig> {
    return {
      host: '127.0.0.1',
      port: await getPort(),
      user: 'helix_user',
      password: 'test password\'s "own" \\ é',
      database: 'helix',
      dataRoot: join(await this.folder(), 'data'),
      preference: 'auto',
      embeddedRoots,
      ...changes,
    };
  }

  /** `src/postgres.ts`, not waited for. */
  postgres(config: PostgresConfig, options: { detached?: boolean } = {}): Program {
    return this.program(join(dist, 'postgres.cjs'), postgresEnvironment(config), options);
  }

  async readyPostgres(config: PostgresConfig): Promise<Program> {
    const program = this.postgres(config);
    await program.prints(/^PostgreSQL is ready/m);
    return program;
  }
}

/** A Node program as a real child process. */
export class Program {
  readonly child: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  output = '';

  constructor(file: string, env: NodeJS.ProcessEnv, options: { cwd?: string; detached?: boolean } = {}) {
    this.child = spawn(process.execPath, [file], {
      ...options,
      env: { PATH: process.env['PATH'], NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    // `close`, so that the output is whole.
    this.exited = new Promise(resolve => this.child.once('close', (code, signal) => resolve({ code, signal })));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  prints(pattern: RegExp): Promise<unknown> {
    return waitFor(`${String(pattern)} in the output`, () => pattern.test(this.output), {
      interval: 20,
      seen: () => this.output,
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    this.child.kill(signal);
    return (await this.exited).code;
  }

  async end(): Promise<void> {
    if (!this.running) return;
    this.child.kill('SIGINT');
    const limit = systemClock.setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    await this.exited;
    systemClock.clearTimeout(limit);
  }
}
