import { type Band, toPort } from '../../src/model/port.ts';
import { leasePort } from '../../src/ports/lease.ts';
import { canBind } from '../../src/ports/probe.ts';

/** Below the ranges from which Linux (32768) and others (49152) take the ports of outgoing connections. */
const LOWEST = 20_000;
const HIGHEST = 32_000;
const SIZE = 100;

const owner = { pid: process.pid, user: 'bench', workspace: 'bench', service: 'bench' };

/** So many bands of 100 ports of which nobody has any now. */
export async function freeBands(count: number): Promise<Band[]> {
  const starts: number[] = [];
  for (let start = LOWEST; start < HIGHEST; start += SIZE) starts.push(start);
  const found: Band[] = [];
  while (found.length < count) {
    const [start] = starts.splice(Math.floor(Math.random() * starts.length), 1);
    if (start === undefined) throw new Error(`No ${count} free bands of ${SIZE} ports in ${LOWEST}-${HIGHEST}.`);
    const band: Band = { from: toPort(start), to: toPort(start + SIZE - 1) };
    if (await isFree(band)) found.push(band);
  }
  return found;
}

export function portsOf(band: Band): number[] {
  return Array.from({ length: band.to - band.from + 1 }, (_, index) => band.from + index);
}

export function shuffled<T>(items: readonly T[]): T[] {
  const all = [...items];
  for (let last = all.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [all[last], all[other]] = [all[other]!, all[last]!];
  }
  return all;
}

async function isFree(band: Band): Promise<boolean> {
  for (const port of portsOf(band)) {
    const lease = await leasePort(toPort(port), owner);
    if (!lease) return false;
    const free = await canBind(toPort(port));
    await lease.release();
    if (!free) return false;
  }
  return true;
}
