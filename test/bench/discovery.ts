import { type Server, createServer } from 'node:http';
import { once } from 'node:events';
import type { Page } from 'playwright-core';
import { systemClock } from '../../src/base/async.ts';
import type { PortDiscoveryOptions } from '../../src/browser/contract.ts';
import { Discovery } from '../../src/browser/discovery.ts';
import { Requests } from '../../src/browser/requests.ts';
import { HEALTH_PATH } from '../../src/model/endpoints.ts';
import type { Band } from '../../src/model/port.ts';
import { workspaceId } from '../../src/model/workspace-id.ts';
import { Lab } from '../e2e/discovery-lab.ts';
import { portsOf, shuffled } from './bands.ts';
import { type Bench, type BenchOptions, roundsOf } from './bench.ts';
import { percent, Samples, spread, table } from './figures.ts';

const HANGING = [0, 5, 20];
const PLACES = ['first', 'middle', 'last', 'random'] as const;
const [OURS, THEIRS] = [workspaceId('/home/me/helix'), workspaceId('/home/you/helix')];

/** The present scan's figures, as HELIX's facts tell them: draws with replacement, and milliseconds a port. */
const DRAWS = 50;
const DRAW_MS = 2_000;

export const discovery: Bench = {
  name: 'discovery',
  title: 'A page finds its API',
  method: `Pages of another origin in a real Chromium, a free band of 100 ports with the API on one of them and so many others that accept and
never answer, no proxy. "Workspace known": the page knows its workspace and the API's health names it, so the first that does is taken;
"unknown": all have to be asked, because two may answer. The scan is an equivalent of ours for the page's present one: a port drawn at random
with replacement, 2 s each, 50 draws. Figures: ms, median (lowest–highest), of those that found it. Success over random places without
hanging ports is measured in Node with the same code and real sockets; the tries with two stacks in Chromium.`,
  run: measure,
};

async function measure(options: BenchOptions): Promise<string> {
  const lab = await Lab.create();
  options.scope.defer(() => lab.dispose());
  const origin = `http://localhost:${await lab.site()}`;
  const page = await lab.open(origin);
  const times = await discoveryTimes(options, lab, page, origin);
  const rates = await successRates(options, lab.band);
  const never = await twoStacks(options, lab, page, origin);
  return [times, rates, never].join('\n\n');
}

async function discoveryTimes(options: BenchOptions, lab: Lab, page: Page, origin: string): Promise<string> {
  const { band, proxyBand, proxyPort } = lab;
  const usual = { band, proxyBand, proxyPort };
  const contenders = {
    'port-discovery, workspace known': () => page.evaluate(discoverInPage, { ...usual, workspace: OURS }),
    'port-discovery, unknown': () => page.evaluate(discoverInPage, usual),
    'one after another (equivalent)': () =>
      page.evaluate(scanInPage, { ports: portsOf(band), draws: DRAWS, limitMs: DRAW_MS, path: HEALTH_PATH }),
  };
  const rounds = roundsOf(options, 5, 1);
  const took = new Samples<number>();
  const tries = new Samples<boolean>();
  for (const hanging of HANGING) {
    for (const place of PLACES) {
      options.say(`${place} place, ${hanging} hanging`);
      for (let round = 0; round < rounds; round++) {
        const port = placeOf(band, place);
        await lab.api(port, { name: 'ours', origins: [origin], workspace: OURS });
        const others = shuffled(portsOf(band).filter(other => other !== port)).slice(0, hanging);
        for (const other of others) await lab.hang(other);
        for (const [name, find] of Object.entries(contenders)) {
          const { found, tookMs } = await find();
          tries.add(found === port, name, place, String(hanging));
          if (found === port) took.add(tookMs, name, place, String(hanging));
        }
        await lab.clear();
      }
    }
  }
  const cell = (...key: string[]): string => {
    const all = tries.get(...key);
    const found = all.filter(Boolean).length;
    return `${spread(took.get(...key))}${found < all.length ? `, found ${found} of ${all.length}` : ''}`;
  };
  const rows = Object.keys(contenders).flatMap(name =>
    PLACES.map(place => [`${name}: ${place}`, ...HANGING.map(hanging => cell(name, place, String(hanging)))]),
  );
  return table(['', ...HANGING.map(hanging => `${hanging} hanging`)], rows);
}

function placeOf({ from, to }: Band, place: (typeof PLACES)[number]): number {
  const places = {
    first: from,
    middle: Math.floor((from + to) / 2),
    last: to,
    random: from + Math.floor(Math.random() * (to - from + 1)),
  };
  return places[place];
}

interface Outcome {
  readonly found: number | undefined;
  readonly tookMs: number;
}

/** Runs in the page. */
async function discoverInPage(options: PortDiscoveryOptions): Promise<Outcome> {
  const finder = new window.PortDiscovery(options);
  const began = performance.now();
  const base = await finder.discoverApiEndpoint().catch(() => undefined);
  finder.close();
  return { found: base === undefined ? undefined : Number(new URL(base).port), tookMs: performance.now() - began };
}

/** Runs in the page, and in Node. */
async function scanInPage({
  ports,
  draws,
  limitMs,
  path,
}: {
  ports: readonly number[];
  draws: number;
  limitMs: number;
  path: string;
}): Promise<Outcome> {
  const began = performance.now();
  for (let draw = 0; draw < draws; draw++) {
    const port = ports[Math.floor(Math.random() * ports.length)]!;
    try {
      const answer = await fetch(`http://localhost:${port}${path}`, { signal: AbortSignal.timeout(limitMs) });
      const health = (await answer.json()) as { status?: string; components?: unknown };
      if (health.status === 'healthy' && health.components) return { found: port, tookMs: performance.now() - began };
    } catch {
      // The next draw.
    }
  }
  return { found: undefined, tookMs: performance.now() - began };
}

/** Without a browser: what counts is which ports are asked, and that is the same code. */
async function successRates(options: BenchOptions, band: Band): Promise<string> {
  const placements = options.quick ? 50 : 1_000;
  options.say(`${placements} random places, in Node`);
  const found = { ours: 0, scan: 0 };
  for (let placement = 0; placement < placements; placement++) {
    const port = placeOf(band, 'random');
    const server = await healthServer(port);
    if ((await discoverInNode(band)) === port) found.ours++;
    const scan = { ports: portsOf(band), draws: DRAWS, limitMs: DRAW_MS, path: HEALTH_PATH };
    if ((await scanInPage(scan)).found === port) found.scan++;
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  }
  const rate = (count: number): string => `${count} of ${placements} (${percent(count, placements)})`;
  return table(
    ['API found at a random place', 'success'],
    [
      ['port-discovery, unknown', rate(found.ours)],
      ['one after another (equivalent)', rate(found.scan)],
    ],
  );
}

async function healthServer(port: number): Promise<Server> {
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'application/json');
    response.end('{"status":"healthy","components":{"api":"healthy"}}');
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function discoverInNode(band: Band): Promise<number | undefined> {
  const page = {
    // A page from a file has no origin of its own that would be asked as well.
    location: new URL('file:///page.html'),
    origin: 'null',
    clock: systemClock,
    fetch,
    random: Math.random,
    meta: () => undefined,
    recall: () => undefined,
    remember: () => undefined,
    digest: () => Promise.resolve(undefined),
    isVisible: () => false,
    onWake: () => () => undefined,
  };
  const empty = { from: 1, to: 0 };
  const finder = new Discovery({ band, proxyBand: empty, proxyPort: band.from }, page, new Requests(page));
  const base = await finder.discoverApiEndpoint().catch(() => undefined);
  finder.close();
  return base === undefined ? undefined : Number(new URL(base).port);
}

/** Each page knows its workspace; both workspaces' proxies and APIs are up, at other places each time. */
async function twoStacks(options: BenchOptions, lab: Lab, page: Page, origin: string): Promise<string> {
  const placements = options.quick ? 2 : 25;
  const searches = 20;
  const count = { right: 0, wrong: 0, none: 0 };
  const { band, proxyBand, proxyPort } = lab;
  for (let placement = 0; placement < placements; placement++) {
    options.say(`two stacks, placement ${placement + 1} of ${placements}`);
    const apis = shuffled(portsOf(band).filter(port => port !== proxyPort));
    const proxies = shuffled([proxyPort, ...portsOf(proxyBand)]);
    const own = new Map<string, number[]>();
    for (const [index, workspace] of [OURS, THEIRS].entries()) {
      const [api, proxy] = [apis[index]!, proxies[index]!];
      await lab.api(api, { name: workspace, origins: [origin] });
      await lab.proxy(proxy, { workspace, api, origins: [origin] });
      own.set(workspace, [api, proxy]);
    }
    for (let search = 0; search < searches; search++) {
      for (const [workspace, ports] of own) {
        const { found } = await page.evaluate(discoverInPage, { ...lab.options, workspace });
        count[found === undefined ? 'none' : ports.includes(found) ? 'right' : 'wrong']++;
      }
    }
    await lab.clear();
  }
  const all = count.right + count.wrong + count.none;
  return `**Two stacks on one machine, ${all} tries: ${count.wrong} times the wrong one, ${count.none} times none.**`;
}
