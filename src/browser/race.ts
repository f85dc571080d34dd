import { type Clock, within } from '../base/async.ts';

/** The first value that is not undefined, as soon as it is there; undefined once all have come to nothing. */
export function first<T>(promises: readonly Promise<T | undefined>[]): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    let left = promises.length;
    if (left === 0) resolve(undefined);
    for (const promise of promises) {
      promise.then(value => {
        left--;
        if (value !== undefined || left === 0) resolve(value);
      }, reject);
    }
  });
}

/**
 * The first stage that has a value. Each begins when the one before has come to nothing, or has been at it for
 * `headStartMs`: one that hangs then costs the others no more than that.
 */
export function firstStage<T>(
  stages: readonly (() => Promise<T | undefined>)[],
  headStartMs: number,
  clock: Clock,
): Promise<T | undefined> {
  let before: Promise<T | undefined> = Promise.resolve(undefined);
  let over = false;
  const runs = stages.map(stage => {
    const run = before.then(async () => {
      if (over) return undefined;
      const value = await stage();
      over ||= value !== undefined;
      return value;
    });
    before = within(headStartMs, run, clock);
    return run;
  });
  return first(runs);
}

/** The promise's outcome, or the signal's reason as soon as it aborts. What the promise stands for goes on. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    // A page may give any value as the reason, and gets back what it gave.
    const fail = (): void => reject(signal?.reason as Error);
    if (signal?.aborted) fail();
    signal?.addEventListener('abort', fail);
    promise.then(resolve, reject).finally(() => signal?.removeEventListener('abort', fail));
  });
}
