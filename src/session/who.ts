import { UserError } from '../base/errors.ts';
import { userName } from '../base/user.ts';
import type { Port } from '../model/port.ts';
import { type ServiceId, SERVICE_ID_PATTERN } from '../model/service.ts';
import { formatDuration } from '../model/wording.ts';
import { type Holder, holdersOf } from '../ports/holders.ts';
import { askLease, leasePort, type LeaseOwner } from '../ports/lease.ts';
import { canBind } from '../ports/probe.ts';
import { endProcessGroup, identify, type ProcessIdentity } from '../run/processes.ts';
import { stackDir } from '../run/runtime-dir.ts';
import { ServiceLink } from './link.ts';
import { StopTokens } from './stop-tokens.ts';

/** Who has one port, as far as this user may see it. */
export interface PortUse {
  readonly port: Port;
  /**
   * `listening`: a process accepts connections. `leased`: a HELIX service has it and does not listen (yet).
   * `bound`: it cannot be bound, and no listener is to be seen.
   */
  readonly state: 'free' | 'listening' | 'leased' | 'bound';
  /** The listener. */
  readonly holder?: Holder;
  /** The HELIX service that it was leased to. */
  readonly helix?: LeaseOwner;
  /** It belongs to the user who asks, and can be stopped from here. */
  readonly isOwn: boolean;
  /** Which process that is, so that no other one with its number is ended later. */
  readonly identity?: ProcessIdentity;
}

/** A holder on a machine under load answers late. */
const LEASE_MS = 1_000;
const STOP_STEPS = [
  { signal: 'SIGINT', waitMs: 5_000 },
  { signal: 'SIGTERM', waitMs: 5_000 },
] as const;

/** Looks; a port that somebody leases is never probed. */
export async function whoHas(port: Port): Promise<PortUse> {
  const [lease, listeners] = await Promise.all([askLease(port, LEASE_MS), holdersOf([port])]);
  const holder = listeners.get(port);
  const helix = typeof lease === 'object' && (await isTrue(lease, port)) ? lease : undefined;
  if (!holder && !helix) return { port, state: await stateOfUnseen(port, lease === 'free'), isOwn: false };
  const pid = helix?.pid ?? holder?.pid;
  const identity = pid === undefined ? undefined : await identify(pid);
  const me = userName();
  const isMine = helix ? helix.user === me : holder?.user === me;
  return {
    port,
    state: holder ? 'listening' : 'leased',
    ...(holder && { holder }),
    ...(helix && { helix }),
    isOwn: isMine && identity !== undefined && pid !== process.pid && pid !== process.ppid,
    ...(identity && { identity }),
  };
}

/** What a lease says of its holder is the holder's own word; the kernel knows which process has the socket. */
async function isTrue(owner: LeaseOwner, port: Port): Promise<boolean> {
  const holder = (await holdersOf([port], 'udp')).get(port);
  return holder?.pid === undefined || holder.pid === owner.pid;
}

async function stateOfUnseen(port: Port, isUnleased: boolean): Promise<'free' | 'bound'> {
  const lease = isUnleased
    ? await leasePort(port, { pid: process.pid, user: userName(), workspace: '', service: 'who' })
    : undefined;
  // Nobody leases it and we may not either: a privileged port, on which nobody listens.
  if (!lease) return isUnleased ? 'free' : 'bound';
  try {
    return (await canBind(port)) ? 'free' : 'bound';
  } finally {
    await lease.release();
  }
}

/**
 * Stops the process that has the port; the caller has asked. A HELIX service is stopped by its supervisor, so that it
 * stays stopped; any other process gets SIGINT, then SIGTERM, and is not forced.
 * @throws {UserError} when it is not this user's, is another one by now, or does not end
 */
export async function stopHolder(use: PortUse): Promise<void> {
  const { port, helix, identity, isOwn } = use;
  if (!isOwn || !identity) {
    const whose = use.helix?.user ?? use.holder?.user;
    throw new UserError(
      `Port ${port} is not yours to free${whose === undefined ? '' : `: it belongs to ${whose}`}. Ask for another port.`,
    );
  }
  if (helix && (await stopService(helix))) return;
  if ((await identify(identity.pid))?.startedAt !== identity.startedAt) {
    throw new UserError(`Process ${identity.pid} has ended by itself. Look again who has port ${port}.`);
  }
  if ((await endProcessGroup({ leader: identity, steps: STOP_STEPS })) === 'survived') {
    throw new UserError(
      `Process ${identity.pid} on port ${port} was asked to end and did not. End it by force yourself.`,
    );
  }
}

/** False when its supervisor cannot be reached: started with another state folder, or hung. */
async function stopService({ workspace, service }: LeaseOwner): Promise<boolean> {
  if (!SERVICE_ID_PATTERN.test(service)) return false;
  const dir = stackDir(workspace);
  const id = service as ServiceId;
  const link = await ServiceLink.open(dir, id);
  if (!link) return false;
  try {
    await new StopTokens(dir).renew([id]);
    const gone = new Promise<void>(resolve => link.onClose(resolve));
    await link.stop({ exit: true }).catch(() => undefined);
    await gone;
    return true;
  } finally {
    link.dispose();
  }
}

/** For people: what is known, one fact a line, the first one a sentence. */
export function useText(use: PortUse, now: number): string {
  const { port, state, holder, helix } = use;
  switch (state) {
    case 'free':
      return `Port ${port} is free.`;
    case 'bound':
      return `Port ${port} is taken by a process that this user may not see, or that does not listen.`;
    case 'leased':
      return [`Port ${port} is leased by HELIX, and nothing listens on it now.`, ...factsOf(use, now)].join('\n');
    case 'listening':
      return [
        `Port ${port} is in use by ${helix ? 'a HELIX service' : holder?.pid === undefined ? 'a process of another user' : 'a process that is not HELIX’s'}.`,
        ...factsOf(use, now),
      ].join('\n');
  }
}

function factsOf({ holder, helix, isOwn }: PortUse, now: number): string[] {
  const since = holder?.startedAtMs;
  const rows: [string, string | undefined][] = [
    ['service', helix && `${helix.service} of ${helix.workspace}`],
    ['pid', holder?.pid?.toString()],
    ['command', holder?.command],
    ['user', helix?.user ?? holder?.user],
    ['since', since === undefined ? undefined : `${isoOf(since)} (${formatDuration(Math.max(0, now - since))})`],
    ['supervisor', helix && `pid ${helix.pid}`],
    ['yours', isOwn ? 'yes, it can be stopped' : 'no'],
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : `  ${name.padEnd(10)}  ${value}`));
}

/** The shape of `who --json`; what is not known is null. */
export function useJson({ port, state, holder, helix, isOwn }: PortUse): object {
  return {
    port,
    state,
    pid: holder?.pid ?? null,
    command: holder?.command ?? null,
    user: helix?.user ?? holder?.user ?? null,
    since: holder?.startedAtMs === undefined ? null : isoOf(holder.startedAtMs),
    isOwn,
    helix: helix ? { workspace: helix.workspace, service: helix.service, supervisorPid: helix.pid } : null,
  };
}

const isoOf = (ms: number): string => new Date(ms).toISOString();
