import type { Scope } from './scope.ts';

export interface BenchOptions {
  /** Fewer rounds, to see that it works. */
  readonly quick: boolean;
  /** Instead of each bench's own number. */
  readonly rounds: number | undefined;
  /** Owns processes and folders; ended with the bench, also when it is interrupted. */
  readonly scope: Scope;
  /** One line about what goes on. */
  readonly say: (line: string) => void;
}

export interface Bench {
  readonly name: string;
  readonly title: string;
  /** What is measured and how, so that it can be done again; printed above the figures. */
  readonly method: string;
  /** Answers its tables and sentences as markdown. */
  readonly run: (options: BenchOptions) => Promise<string>;
}

export const roundsOf = ({ rounds, quick }: BenchOptions, usual: number, few: number): number =>
  rounds ?? (quick ? few : usual);

/** The contenders of a round in an order that differs from round to round, so that none always follows the same one. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const first = round % Math.max(1, items.length);
  return [...items.slice(first), ...items.slice(0, first)];
}
