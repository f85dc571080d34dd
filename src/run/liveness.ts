import { delay, throwIfAborted, untilAborted } from '../base/async.ts';
import { type CheckResult, isNetworkReadiness } from './health.ts';
import { checkPort, isStrangers, requiredPort, type Watched } from './readiness.ts';

export interface LivenessEvents {
  /** It answers, but not as it should. */
  onUnhealthy(reason: string): void;
  onRecovered(): void;
}

/** Why a process that was healthy has to be ended. */
export type Unfit = { readonly kind: 'hung'; readonly reason: string } | { readonly kind: 'portTaken' };

/**
 * Watches a healthy process; answers when it has to be ended. One that opens no port is never hung: this waits until
 * `signal` aborts, and rejects then.
 */
export async function untilUnfit(watched: Watched, events: LivenessEvents): Promise<Unfit> {
  const { spec, clock, cadence, signal } = watched;
  const { readiness } = spec;
  if (!isNetworkReadiness(readiness)) return untilAborted(signal);
  const port = requiredPort(watched);
  // It has just answered.
  await delay(cadence.steadyMs, signal, clock);
  for (let checks = 1, misses = 0, silentMisses = 0, wrongSince: number | undefined; ; checks++) {
    const started = clock.now();
    const result = await checkPort(watched, readiness, port);
    throwIfAborted(signal);
    // A listener that was away, or answers strangely, may have become another one; one that was not may have too.
    const isDoubtful = misses > 0 || !result.ok || checks % cadence.ownerEvery === 0;
    if (isDoubtful && somebodyListens(result)) {
      if (await isStrangers(watched, port)) return { kind: 'portTaken' };
      throwIfAborted(signal);
    }
    if (result.ok) {
      if (misses >= cadence.misses) events.onRecovered();
      misses = silentMisses = 0;
      wrongSince = undefined;
    } else {
      misses++;
      silentMisses = result.failure === 'wrong' ? 0 : silentMisses + 1;
      wrongSince ??= started;
      const { reason } = result;
      if (silentMisses >= cadence.misses) {
        return { kind: 'hung', reason: `no answer to ${silentMisses} checks in a row (${reason})` };
      }
      if (clock.now() - wrongSince > cadence.wrongLimitMs) return { kind: 'hung', reason };
      if (misses === cadence.misses) events.onUnhealthy(reason);
    }
    // Not after one that was refused: a service that reloads itself does not listen for a moment.
    const isSuspect = !result.ok && result.failure === 'silent';
    const pause = isSuspect ? Math.min(cadence.suspectMs, cadence.steadyMs) : cadence.steadyMs;
    await delay(Math.max(0, pause - (clock.now() - started)), signal, clock);
  }
}

const somebodyListens = (result: CheckResult): boolean => result.ok || result.failure !== 'refused';
