import { createSocket, type Socket } from 'node:dgram';
import { codeOf } from '../base/errors.ts';
import { LOOPBACK } from '../model/defaults.ts';
import type { Port } from '../model/port.ts';

/** Who holds a lease, as told to anyone on this machine who asks the lease itself. */
export interface LeaseOwner {
  readonly pid: number;
  readonly user: string;
  readonly workspace: string;
  readonly service: string;
}

/**
 * A port that is ours until `release()` or the death of this process.
 *
 * The lock is a UDP socket bound exclusively to 127.0.0.1 at the port's number: the kernel holds it, it needs
 * no file, it works across users, and it is gone the instant its holder dies, even by `kill -9`. TCP and UDP
 * ports are separate name spaces, so the service's own TCP bind is not disturbed.
 */
export interface Lease {
  readonly port: Port;
  release(): Promise<void>;
}

const QUERY = 'helix-ports who?';
/** The codes that mean "this port is not to be had"; anything else is a fault and is thrown. */
const TAKEN = new Set(['EADDRINUSE', 'EACCES']);

/** Leases exactly this port, or answers undefined when another process holds it. */
export async function leasePort(port: Port, owner: LeaseOwner): Promise<Lease | undefined> {
  const socket = createSocket({ type: 'udp4', reuseAddr: false });
  try {
    await bind(socket, port);
  } catch (error) {
    socket.close();
    if (TAKEN.has(codeOf(error) ?? '')) return undefined;
    throw error;
  }
  const answer = Buffer.from(JSON.stringify(owner));
  socket.on('message', (message, from) => {
    // Only loopback can reach the socket; an answer that cannot be sent is the asker's loss alone.
    if (message.toString() === QUERY) socket.send(answer, from.port, from.address, () => undefined);
  });
  socket.on('error', () => undefined);
  socket.unref();
  let released: Promise<void> | undefined;
  return { port, release: () => (released ??= close(socket)) };
}

/** `free`: nobody leases the port. `silent`: somebody does (or runs another UDP service there) and does not answer. */
export type LeaseHolder = LeaseOwner | 'free' | 'silent';

/**
 * Asks a port's lease who holds it. A port that nobody has bound is known at once, because the kernel refuses
 * datagrams of a connected socket; a holder that is busy is given `timeoutMs`.
 */
export function askLease(port: number, timeoutMs: number): Promise<LeaseHolder> {
  return new Promise(resolve => {
    const socket = createSocket('udp4');
    let settled = false;
    const settle = (holder: LeaseHolder): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      socket.removeAllListeners('message');
      socket.close(() => resolve(holder));
    };
    // After a look at the socket: where this process itself was held up, the answer may have been there all the time.
    const timer = setTimeout(() => setImmediate(settle, 'silent'), timeoutMs);
    socket.once('error', () => settle('free'));
    socket.on('message', message => settle(parseOwner(message) ?? 'silent'));
    socket.connect(port, LOOPBACK, () => socket.send(QUERY));
  });
}

/**
 * Asks the holder of each port's lease who it is. Ports that nobody leases, or whose holder stays silent for
 * `timeoutMs` (somebody else's UDP service), are missing from the answer.
 */
export async function leaseOwners(ports: readonly number[], timeoutMs = 200): Promise<ReadonlyMap<number, LeaseOwner>> {
  const holders = await Promise.all(
    [...new Set(ports)].map(async port => [port, await askLease(port, timeoutMs)] as const),
  );
  return new Map(holders.filter((entry): entry is [number, LeaseOwner] => typeof entry[1] === 'object'));
}

function parseOwner(message: Buffer): LeaseOwner | undefined {
  try {
    const value = JSON.parse(message.toString()) as Partial<LeaseOwner> | null;
    if (typeof value?.pid !== 'number' || typeof value.service !== 'string') return undefined;
    return { pid: value.pid, service: value.service, user: String(value.user), workspace: String(value.workspace) };
  } catch {
    return undefined;
  }
}

function bind(socket: Socket, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    // `exclusive`: without it a cluster worker would share its primary's socket.
    socket.bind({ address: LOOPBACK, port, exclusive: true }, () => {
      socket.removeListener('error', reject);
      resolve();
    });
  });
}

const close = (socket: Socket): Promise<void> => new Promise(resolve => socket.close(() => resolve()));
