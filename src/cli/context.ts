import type { Options } from '../cli.ts';
import { UserError } from '../base/errors.ts';

/** Documented in `--help` and in the README. */
export const EXIT = {
  ok: 0,
  /** It was tried and did not work: no free port, a service failed, nothing runs. */
  failed: 1,
  /** Wrong words on the command line. */
  usage: 2,
  /** A defect of ours. */
  defect: 70,
  /** Ended by Ctrl-C. */
  interrupted: 130,
} as const;

/** Wrong words on the command line. */
export class UsageError extends UserError {}

export interface CliContext {
  readonly words: readonly string[];
  readonly options: Options;
  /** What the caller asked for: stdout. */
  readonly out: (line: string) => void;
  /** Messages: stderr. */
  readonly err: (line: string) => void;
  /** How far it has come: one line that moves on a terminal, a line for each step in a pipe. */
  readonly progress: (text: string) => void;
}
