import type { Clock } from '../base/async.ts';
import type { Cors } from './cors.ts';
import type { ProxyLimits } from './engine.ts';
import type { HoldQueue } from './hold-queue.ts';
import type { HostCheck } from './host-check.ts';
import type { Metrics } from './metrics.ts';
import type { Hop } from './request-head.ts';
import type { UpstreamPool } from './upstream-pool.ts';

/** What the parts of the embedded engine share. Rules that a snapshot brings are replaced with it. */
export interface Front extends Hop {
  readonly limits: ProxyLimits;
  readonly clock: Clock;
  readonly pool: UpstreamPool;
  readonly held: HoldQueue;
  readonly metrics: Metrics;
  readonly cors: Cors;
  readonly hosts: HostCheck;
}
