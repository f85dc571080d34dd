import { FIXED_PORTS } from '../model/defaults.ts';
import { type Band, inBand, type Port } from '../model/port.ts';

export interface CandidateOptions {
  /** Tried before all others, also outside of the band. */
  readonly preferred?: Port | undefined;
  /** The sticky one comes even before the preferred: the service goes on after it was lost. */
  readonly stays?: boolean;
  /** The same service's port of last time; tried first if it lies in the band. */
  readonly sticky?: Port | undefined;
  /** Ports that just turned out to be a stranger's; tried last, since the stranger may be gone by then. */
  readonly avoid?: ReadonlySet<number>;
  /** Ports that no band hands out: the plan's fixed ones. */
  readonly reserved?: readonly number[];
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

/**
 * The ports of a band in the order in which they are tried: the preferred one, the sticky one, then all others at random without
 * replacement (Fisher-Yates, lazily), so that a band with one free port always yields it.
 */
export function* candidates(band: Band, options: CandidateOptions = {}): Generator<Port> {
  const { preferred, stays = false, sticky, avoid = new Set(), reserved = FIXED_PORTS, random = Math.random } = options;
  const pool: Port[] = [];
  const last: Port[] = [];
  for (let port = band.from; port <= band.to; port = (port + 1) as Port) {
    if (reserved.includes(port) || port === sticky || port === preferred) continue;
    (avoid.has(port) ? last : pool).push(port);
  }
  const isOurs = sticky === preferred || (sticky !== undefined && inBand(band, sticky) && !reserved.includes(sticky));
  const known = isOurs && stays ? [sticky, preferred] : [preferred, isOurs ? sticky : undefined];
  for (const port of new Set(known)) {
    if (port === undefined) continue;
    if (avoid.has(port)) last.push(port);
    else yield port;
  }
  while (pool.length > 0) {
    const index = Math.floor(random() * pool.length);
    const port = pool[index]!;
    pool[index] = pool.at(-1)!;
    pool.pop();
    yield port;
  }
  yield* last;
}
