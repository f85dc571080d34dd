import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOOPBACK } from '../../../src/model/defaults.ts';
import { type Band, inBand } from '../../../src/model/port.ts';
import { findersWith, type Finder, type Found } from '../finders.ts';

/** What the parent says: race with this finder at this time, or give everything back. */
export type Order =
  | { readonly kind: 'race'; readonly finder: string; readonly bands: readonly Band[]; readonly at: number }
  | { readonly kind: 'release' };

/** What became of one port. `collided`: by the time of the bind somebody else had it. */
export interface Pick {
  readonly outcome: 'bound' | 'collided' | 'outside' | 'error';
  readonly port?: number;
  readonly tookMs: number;
}

export type Report = { readonly kind: 'ready' | 'released' } | { readonly kind: 'raced'; readonly picks: Pick[] };

/** Between choosing a port and binding it, as a service needs for its own start. */
const HOLD_MS = 50;

/** `racer SCRIPT`: one of many processes that want a port of each band at the same time. */
const finders = findersWith(process.argv[2]!);
const servers: Server[] = [];
const held: Found[] = [];

async function race(finder: Finder, bands: readonly Band[], at: number): Promise<Pick[]> {
  finder.reset?.();
  await sleep(Math.max(0, at - Date.now()));
  const picks: Promise<Pick>[] = [];
  for (const band of bands) {
    const began = performance.now();
    try {
      const found = await finder.find(band);
      held.push(found);
      picks.push(bindLater(band, found.port, performance.now() - began));
    } catch {
      picks.push(Promise.resolve({ outcome: 'error', tookMs: performance.now() - began }));
    }
  }
  return Promise.all(picks);
}

async function bindLater(band: Band, port: number, tookMs: number): Promise<Pick> {
  await sleep(HOLD_MS);
  const bound = await bind(port);
  return { outcome: !inBand(band, port) ? 'outside' : bound ? 'bound' : 'collided', port, tookMs };
}

function bind(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      servers.push(server);
      resolve(true);
    });
  });
}

async function release(): Promise<void> {
  await Promise.all(servers.splice(0).map(server => new Promise(resolve => server.close(resolve))));
  await Promise.all(held.splice(0).map(async found => found.release?.()));
}

async function obey(order: Order): Promise<Report> {
  if (order.kind === 'release') {
    await release();
    return { kind: 'released' };
  }
  const finder = finders.find(one => one.name === order.finder)!;
  return { kind: 'raced', picks: await race(finder, order.bands, order.at) };
}

const say = (report: Report): void => void process.send!(report);

process.on('message', (order: Order) => void obey(order).then(say));
process.on('disconnect', () => process.exit(0));
say({ kind: 'ready' });
