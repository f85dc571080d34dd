import type { Plan } from '../model/plan.ts';
import { type BandMap, bandsOf, type PortCell, reservedPorts } from '../model/port-map.ts';
import { describeHolder, type Holder, holdersOf } from '../ports/holders.ts';
import { type LeaseOwner, leaseOwners } from '../ports/lease.ts';

/**
 * Who has which port of all bands now. It only looks: at the system's tables of sockets, and of ports that a lease may
 * stand behind it asks the lease. Nothing is bound or called, since a probe could make a rightful owner's bind fail.
 * One look costs some 10 ms on Linux.
 */
export async function portMap(plan: Pick<Plan, 'services' | 'workspace'>): Promise<readonly BandMap[]> {
  const bands = bandsOf(plan);
  const ports = bands.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
  const [tcp, udp] = await Promise.all([visible(ports, 'tcp'), visible(ports, 'udp')]);
  const owners = await leaseOwners([...udp.keys()]);
  const reserved = reservedPorts(plan);
  const cellOf = (port: number): PortCell | undefined => {
    const owner = owners.get(port);
    const holder = tcp.get(port) ?? udp.get(port);
    if (owner) return leased(port, owner, tcp.get(port), plan);
    if (holder) return { port, use: 'foreign', who: describeHolder(holder) };
    const reason = reserved.get(port);
    return reason === undefined ? undefined : { port, use: 'reserved', who: reason };
  };
  return bands.map(band => {
    const used: PortCell[] = [];
    for (let port = band.from; port <= band.to; port++) {
      const cell = cellOf(port);
      if (cell) used.push(cell);
    }
    return { ...band, used };
  });
}

function leased(
  port: number,
  owner: LeaseOwner,
  listener: Holder | undefined,
  plan: Pick<Plan, 'services' | 'workspace'>,
): PortCell {
  const listens = listener ? `; ${describeHolder(listener)} listens` : '; nobody listens yet';
  if (owner.workspace !== plan.workspace) {
    const who = `HELIX service ${owner.service} of ${owner.workspace} (${owner.user}, pid ${owner.pid})${listens}`;
    return { port, use: 'helix', who };
  }
  const label = plan.services.find(service => service.id === owner.service)?.label ?? owner.service;
  return { port, use: 'ours', who: `${label} of this workspace (supervisor pid ${owner.pid})${listens}` };
}

const visible = (ports: readonly number[], protocol: 'tcp' | 'udp'): Promise<ReadonlyMap<number, Holder>> =>
  holdersOf(ports, protocol).catch(() => new Map());
