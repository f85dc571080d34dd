import { existsSync } from 'node:fs';
import { delay } from '../base/async.ts';
import { codeOf } from '../base/errors.ts';
import type { Exit } from '../model/service.ts';
import type { OutputStream } from './output.ts';

export interface ChildOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The child gets this process's terminal instead of pipes. */
  readonly tty: boolean;
  readonly onOutput: (chunk: Buffer, stream: OutputStream) => void;
}

export type ChildEnd =
  | { readonly kind: 'exit'; readonly exit: Exit }
  /** There never was a process: the command does not exist or may not be run. */
  | { readonly kind: 'notStarted'; readonly message: string };

export interface Child {
  readonly pid: number | undefined;
  /** Settles once the process is gone and its output is read to the end. Never rejects. */
  readonly ended: Promise<ChildEnd>;
}

/** A third of what a supervisor loads; it can be had while nothing is to be started yet. */
export const loadExeca = () => import('execa');

/**
 * Starts a service's process as the leader of a group of its own, so that the group can be ended whole and
 * Ctrl-C in the terminal reaches the supervisor alone, which then ends the service in order.
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { execa } = await loadExeca();
  const [file, ...args] = options.command;
  const child = execa(file!, args, {
    cwd: options.cwd,
    env: options.env,
    extendEnv: false,
    detached: !options.tty,
    cleanup: false,
    buffer: false,
    reject: false,
    stdin: options.tty ? 'inherit' : 'ignore',
    stdout: options.tty ? 'inherit' : 'pipe',
    stderr: options.tty ? 'inherit' : 'pipe',
  });
  let chunks = 0;
  const take = (stream: OutputStream) => (chunk: Buffer) => {
    chunks++;
    options.onOutput(chunk, stream);
  };
  child.stdout?.on('data', take('stdout'));
  child.stderr?.on('data', take('stderr'));
  // A grandchild that inherits the pipes keeps them open after the service is gone, and execa waits for them.
  // The process's own end is what counts; what is in the pipes by then is given a moment to arrive.
  const exited = new Promise<Exit>(resolve => {
    child.once('exit', (code, signal) => {
      const exit = { code, signal, at: Date.now() };
      void untilQuiet(() => chunks).then(() => resolve(exit));
    });
  });
  const whole = child.then(result => {
    if (child.pid === undefined) return { kind: 'notStarted', message: notStartedMessage(options, result) } as const;
    return {
      kind: 'exit',
      exit: { code: result.exitCode ?? null, signal: result.signal ?? null, at: Date.now() },
    } as const;
  });
  const ended = Promise.race([whole, exited.then(exit => ({ kind: 'exit', exit }) as const)]);
  return { pid: child.pid, ended };
}

const QUIET_MS = 20;
const MAX_QUIET_ROUNDS = 25;

/** Waits until no more output arrives, but not for ever: a grandchild may go on talking. */
async function untilQuiet(chunks: () => number): Promise<void> {
  for (let round = 0, before = -1; round < MAX_QUIET_ROUNDS && chunks() !== before; round++) {
    before = chunks();
    await delay(QUIET_MS);
    // On a busy machine timers run before the pipes are read; this runs after.
    await new Promise(resolve => setImmediate(resolve));
  }
}

function notStartedMessage(options: ChildOptions, failure: unknown): string {
  const [file] = options.command;
  const cause = typeof failure === 'object' && failure !== null && 'cause' in failure ? failure.cause : failure;
  switch (codeOf(failure) ?? codeOf(cause)) {
    case 'ENOENT':
      if (!existsSync(options.cwd))
        return `The working directory ${options.cwd} does not exist. Correct "cwd" in the configuration.`;
      return `Command not found: ${file} (in ${options.cwd}). Install it, or correct "command" or "cwd" in the configuration.`;
    case 'ENOTDIR':
      return `The working directory ${options.cwd} is not a folder. Correct "cwd" in the configuration.`;
    case 'EACCES':
      return `${file} may not be executed. Give it the execute permission, or correct "command" in the configuration.`;
    default:
      return `${file} could not be started: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
}
