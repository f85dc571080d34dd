import { type Clock, delay, systemClock, throwIfAborted } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import { FIXED_PORTS } from '../model/defaults.ts';
import { type Band, formatBand, type Port } from '../model/port.ts';
import type { PortRequest } from '../model/service.ts';
import { type CandidateOptions, candidates } from './candidates.ts';
import { describeHolder, type Holder, holdersOf } from './holders.ts';
import { type Lease, type LeaseOwner, leaseOwners, leasePort } from './lease.ts';
import { canBind } from './probe.ts';

export interface AllocateOptions extends CandidateOptions {
  readonly owner: LeaseOwner;
  /**
   * How long the listener on a fixed port is given to go, milliseconds; 0 unless told. For whoever had the port until a
   * moment ago: what listens there may be the last of its own processes, on its way out.
   */
  readonly goneWithinMs?: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** How the band is widened, where it is not a service's of the configuration. */
  readonly toWiden?: string;
}

type FixedOptions = Pick<AllocateOptions, 'goneWithinMs' | 'signal' | 'clock'>;

const LOOK_AGAIN_MS = 50;

/**
 * Leases a port of the band that can be bound right now.
 * Lease first, probe after: a port that somebody else leases is never probed.
 * @throws {UserError} when the band is exhausted: names the band, the holders it can see, and how to widen it.
 */
export async function allocateFromBand(band: Band, options: AllocateOptions): Promise<Lease> {
  for (const port of candidates(band, options)) {
    throwIfAborted(options.signal);
    const lease = await leaseIfFree(port, options.owner);
    if (lease) return lease;
  }
  throw await exhausted(band, options);
}

/**
 * Leases one given port.
 * @throws {UserError} naming who has it.
 * @throws {CancelledError} when `signal` aborts while the port is waited for.
 */
export async function allocateFixed(port: Port, owner: LeaseOwner, options: FixedOptions = {}): Promise<Lease> {
  const { goneWithinMs = 0, signal, clock = systemClock } = options;
  const limit = clock.now() + goneWithinMs;
  let lease = await leaseIfFree(port, owner);
  while (!lease && clock.now() < limit) {
    await delay(LOOK_AGAIN_MS, signal, clock);
    lease = await leaseIfFree(port, owner);
  }
  if (lease) return lease;
  const who = (await describeUse([port])).get(port) ?? 'another process';
  throw new UserError(
    `Port ${port} for ${owner.service} is taken by ${who}. Stop that process, or give ${owner.service} another port.`,
  );
}

/** The lease that `request` asks for; undefined for a service without a port. */
export function allocate(request: PortRequest, options: AllocateOptions): Promise<Lease | undefined> {
  switch (request.kind) {
    case 'none':
      return Promise.resolve(undefined);
    case 'fixed':
      return allocateFixed(request.port, options.owner, options);
    case 'band':
      return allocateFromBand(request.band, {
        reserved: [...FIXED_PORTS, ...(request.except ?? [])],
        preferred: request.preferred,
        ...options,
      });
  }
}

async function leaseIfFree(port: Port, owner: LeaseOwner): Promise<Lease | undefined> {
  const lease = await leasePort(port, owner);
  if (!lease) return undefined;
  let free = false;
  try {
    free = await canBind(port);
    return free ? lease : undefined;
  } finally {
    if (!free) await lease.release();
  }
}

/** For the answer of a leaseholder on a machine that is busy, milliseconds. Only who stays silent takes as long. */
const BUSY_OWNER_MS = 1_000;

/** Who uses each of these ports, in words: the lease's owner if it is one of ours, else what the system tells. */
export async function describeUse(ports: readonly number[]): Promise<ReadonlyMap<number, string>> {
  // First, and with time: a message that takes a moment longer is better than one that knows less.
  const owners = await leaseOwners(ports, BUSY_OWNER_MS);
  const [tcp, udp] = await Promise.all([
    holdersOf(ports, 'tcp').catch((): ReadonlyMap<number, Holder> => new Map()),
    holdersOf(ports, 'udp').catch((): ReadonlyMap<number, Holder> => new Map()),
  ]);
  const uses = new Map<number, string>();
  for (const port of ports) {
    const owner = owners.get(port);
    const holder = tcp.get(port) ?? udp.get(port);
    if (owner) uses.set(port, `HELIX service ${owner.service} of ${owner.workspace} (${owner.user}, pid ${owner.pid})`);
    else if (holder) uses.set(port, describeHolder(holder));
  }
  return uses;
}

const SHOWN_HOLDERS = 5;

async function exhausted(band: Band, options: AllocateOptions): Promise<UserError> {
  const ports = [...candidates(band, options)].sort((a, b) => a - b);
  const uses = await describeUse(ports);
  const named = ports
    .filter(port => uses.has(port))
    .slice(0, SHOWN_HOLDERS)
    .map(port => `${port}: ${uses.get(port)}`);
  const more = uses.size > named.length ? ` and ${uses.size - named.length} more` : '';
  const holders = named.length > 0 ? ` Held by ${named.join('; ')}${more}.` : '';
  const { service } = options.owner;
  const wider = Math.min(65_535, band.to + 100);
  const toWiden =
    options.toWiden ??
    `widen the band: "services": { "${service}": { "port": { "from": ${band.from}, "to": ${wider} } } } in helix.config.json`;
  return new UserError(
    `No free port for ${service} in ${formatBand(band)} (${ports.length} tried).${holders} Stop some of them, or ${toWiden}.`,
  );
}
