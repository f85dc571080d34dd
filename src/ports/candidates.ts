import { FIXED_PORTS } from '../model/defaults.ts';
import { type Band, inBand, type Port } from '../model/port.ts';

export interface CandidateOptions {
  /** Tried before all others, also outside of the band. */
  readonly preferred?: Port | undefined;
  /** Where the service was when it was lost, and goes on; comes even before the preferred one. */
  readonly stays?: Port | undefined;
  /** The same service's own port, which it had last of this band; comes before all others if it lies in it. */
  readonly sticky?: Port | undefined;
  /** Ports that just turned out to be a stranger's; tried last, since the stranger may be gone by then. */
  readonly avoid?: ReadonlySet<number>;
  /** Ports that no band hands out: the plan's fixed ones. */
  readonly reserved?: readonly number[];
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

/**
 * The ports of a band in the order in which they are tried: the one to stay on, the preferred one, the sticky one, then all
 * others at random without replacement (Fisher-Yates, lazily), so that a band with one free port always yields it.
 */
export function* candidates(band: Band, options: CandidateOptions = {}): Generator<Port> {
  const { preferred, stays, sticky, avoid = new Set(), reserved = FIXED_PORTS, random = Math.random } = options;
  const isOurs = (port: Port): boolean => port === preferred || (inBand(band, port) && !reserved.includes(port));
  const known = new Set([stays, preferred, sticky].filter(port => port !== undefined).filter(isOurs));
  const pool: Port[] = [];
  const last: Port[] = [];
  for (let port = band.from; port <= band.to; port = (port + 1) as Port) {
    if (reserved.includes(port) || known.has(port)) continue;
    (avoid.has(port) ? last : pool).push(port);
  }
  for (const port of known) {
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
