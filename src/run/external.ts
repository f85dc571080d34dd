import { delay } from '../base/async.ts';
import type { ServiceState } from '../model/service.ts';
import type { AttemptResult } from './attempt.ts';
import { isNetworkReadiness } from './health.ts';
import { checkPort, type Watched } from './readiness.ts';

export interface ExternalChange {
  readonly state: ServiceState;
  readonly message: string;
}

const LOOK_AGAIN_MS = 500;

/** A service that is not ours (a PostgreSQL that was there already): looked at, never started or ended. */
export async function watchExternal(
  watched: Pick<Watched, 'spec' | 'clock' | 'cadence' | 'signal' | 'onCheck'>,
  onChange: (change: ExternalChange) => void,
): Promise<AttemptResult> {
  const { spec, clock, cadence, signal } = watched;
  const { label, readiness, port: request } = spec;
  if (!isNetworkReadiness(readiness) || request.kind !== 'fixed') {
    const message = `${label} has no command and no fixed port to watch.`;
    return { end: { kind: 'impossible', message }, healthyForMs: 0 };
  }
  const { port } = request;
  let state: 'unknown' | 'healthy' | 'unhealthy' = 'unknown';
  for (let misses = 0; !signal.aborted;) {
    const result = await checkPort(watched, readiness, port);
    if (signal.aborted) break;
    misses = result.ok ? 0 : misses + 1;
    if (result.ok && state !== 'healthy') {
      state = 'healthy';
      const message = `${label} on port ${port} was running already and is used as it is`;
      onChange({ state: { kind: 'healthy', since: clock.now() }, message });
    } else if (!result.ok && misses >= cadence.misses && state !== 'unhealthy') {
      state = 'unhealthy';
      const { reason } = result;
      onChange({
        state: { kind: 'unhealthy', since: clock.now(), reason },
        message: `${label} on port ${port}: ${reason}`,
      });
    }
    const pause = misses > 0 ? Math.min(LOOK_AGAIN_MS, cadence.steadyMs) : cadence.steadyMs;
    await delay(pause, signal, clock).catch(() => undefined);
  }
  return { end: { kind: 'interrupted' }, healthyForMs: 0 };
}
