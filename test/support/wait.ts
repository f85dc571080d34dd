import { inspect } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';

/** Generous on purpose: a shared machine is slow at times, and a passing wait never uses it up. */
export const defaultTimeout = 60_000;

export interface WaitOptions {
  readonly timeout?: number;
  readonly interval?: number;
  /** What is there instead; asked for only when the wait has failed, to be told in its error. */
  readonly seen?: () => unknown;
}

/** Polls until `probe` answers something other than `undefined` or `false`. A probe that throws counts as "not yet". */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  options: WaitOptions = {},
): Promise<T> {
  const { timeout = defaultTimeout, interval = 100 } = options;
  const deadline = Date.now() + timeout;
  let cause: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() >= deadline) throw await timeoutError(what, timeout, options.seen, cause);
    await sleep(interval);
  }
}

async function timeoutError(
  what: string,
  timeout: number,
  seen: (() => unknown) | undefined,
  cause: unknown,
): Promise<Error> {
  const lines = [`Waited ${timeout / 1000} s in vain for ${what}.`];
  if (seen) {
    const picture = await Promise.resolve()
      .then(seen)
      .catch((error: unknown) => `could not be read: ${String(error)}`);
    lines.push(`Seen instead: ${typeof picture === 'string' ? picture : JSON.stringify(picture, undefined, 1)}`);
  }
  if (cause) lines.push(`The last attempt failed: ${inspect(cause)}`);
  return new Error(lines.join('\n'), { cause });
}
