import getPort, { clearLockedPorts } from 'get-port';
import type { Port } from '../model/port.ts';

/**
 * Whether a TCP port can be bound now on every local address, wildcard and loopback, IPv4 and IPv6
 * (families that the machine lacks are skipped).
 *
 * get-port tries the binds. Asked for a port that is taken it answers with some other one, so only the very
 * number asked for counts as yes. Its memory of what it handed out is cleared: the lease is the lock here,
 * and that memory would refuse a service its own port for half a minute.
 *
 * Call this only for a port whose lease is held: a probe is itself a listener for an instant and can make
 * the rightful owner's bind fail.
 */
export async function canBind(port: Port): Promise<boolean> {
  try {
    return (await getPort({ port })) === port;
  } finally {
    clearLockedPorts();
  }
}
