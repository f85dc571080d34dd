import { type Clock, delay } from '../base/async.ts';

const ADDRESS_IN_USE =
  /EADDRINUSE|address already in use|\[Errno (48|98)\]|WinError 10048|Only one usage of each socket/i;
const KEPT_LINES = 1000;

/** Lines of one process's output: whether one matched, and a way to wait for the next. */
export class LineWatch {
  private readonly seen: string[] = [];
  private wake: (() => void)[] = [];
  sawAddressInUse = false;

  push(lines: readonly string[]): void {
    if (lines.length === 0) return;
    this.seen.push(...lines);
    if (this.seen.length > KEPT_LINES) this.seen.splice(0, this.seen.length - KEPT_LINES);
    this.sawAddressInUse ||= lines.some(line => ADDRESS_IN_USE.test(line));
    for (const wake of this.wake.splice(0)) wake();
  }

  some(expression: RegExp): boolean {
    return this.seen.some(line => expression.test(line));
  }

  /** Waits for output, at most `ms`; rejects when `signal` aborts. */
  async nextOr(ms: number, signal: AbortSignal, clock: Clock): Promise<void> {
    const said = new AbortController();
    this.wake.push(() => said.abort());
    await delay(ms, AbortSignal.any([signal, said.signal]), clock).catch((error: unknown) => {
      if (signal.aborted) throw error;
    });
  }
}
