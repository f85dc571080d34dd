import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ProxyPlan } from '../../src/model/plan.ts';
import { type ServiceId, type ServiceSnapshot, toServiceId } from '../../src/model/service.ts';
import { loadPlan } from '../../src/session/load-plan.ts';
import type { Stack } from '../../src/session/stack.ts';
import { nginxForTests } from '../support/nginx.ts';
import { waitFor } from '../support/wait.ts';
import { FRONTED_API } from '../unit/session/front-load.ts';
import { type Bench, type BenchOptions, roundsOf } from './bench.ts';
import { openDemoStack, ownStateHome } from './demo-stack.ts';
import { ms, spread, table } from './figures.ts';
import { type ProductionBuild, productionBuild } from './production-build.ts';
import type { RollingFigures } from './programs/rolling-load.ts';
import { nodeProgram } from './proxy-processes.ts';
import type { Scope } from './scope.ts';

type Engine = Pick<ProxyPlan, 'engine' | 'nginxPath'>;

const API = toServiceId('api');
const PROXY = toServiceId('proxy');
const LOOK_MS = 5;

export const rolling: Bench = {
  name: 'rolling',
  title: 'Rolling restarts and killed replicas under load',
  method: `A stack of one small API behind the workspace's proxy, as an editor keeps it. 48 clients in a process of their own ask without a
pause meanwhile: 24 GET and 8 POST on kept connections, 8 read streams of 16 events, 8 have a WebSocket's tunnel open and
get each of 16 lines back, both over 0.3 s. First so many rolling restarts, one after another; then two replicas, of
which now one, now the other is killed with SIGKILL, each time with both healthy before. Failed is what was not answered with 200
and the right body, and a stream that lost an event. Before nginx, which closes idle connections when it takes a new configuration, each
POST has a connection of its own, and a GET on a connection that was closed while idle is sent once more, as RFC 9112 (9.3.1) has it.`,
  run: measure,
};

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  say('building for production');
  const build = await productionBuild(scope);
  await ownStateHome(scope);
  const nginx = await nginxForTests();
  const engines: Engine[] = [{ engine: 'embedded', nginxPath: '' }];
  if (typeof nginx === 'string') engines.push({ engine: 'nginx', nginxPath: nginx });
  const rolls: string[][] = [];
  const kills: string[][] = [];
  const notes: string[] = typeof nginx === 'string' ? [] : [`nginx is left out: ${nginx.missing}.`];
  for (const engine of engines) {
    await scope.nested(async own => {
      const stack = await started(own, build, engine);
      const rolled = await underLoad(own, stack, engine, () => rollAll(stack, engine, options));
      rolls.push([engine.engine, String(rolled.times.length), ...cells(rolled.load), spread(rolled.times)]);
      await ended(stack.scale(API, 2));
      const killed = await underLoad(own, stack, engine, () => killAll(stack, engine, options));
      kills.push([engine.engine, String(killed.times.length), ...cells(killed.load), spread(killed.times)]);
      for (const { load } of [rolled, killed]) notes.push(...load.examples.map(one => `${engine.engine}: ${one}`));
    });
  }
  const figures = ['requests', 'failed GET', 'failed POST', 'sent again', 'streams', 'dropped', 'p50 ms', 'p99 ms'];
  return [
    table(['engine', 'rolling restarts', ...figures, 'ms each'], rolls),
    table(['engine', 'killed', ...figures, 'ms until healthy'], kills),
    'Sent again: by the proxy + by the clients (nginx does not tell). A POST or stream in flight to what is killed cannot be saved.',
    ...(notes.length > 0 ? [notes.map(note => `- ${note}`).join('\n')] : []),
  ].join('\n\n');
}

/** What a load saw, with the times of what was done meanwhile. */
interface Seen {
  readonly times: readonly number[];
  readonly load: RollingFigures & { readonly retries: number };
}

const cells = ({ requests, failedGets, failedPosts, retries, repeated, ...load }: Seen['load']): string[] => [
  requests.toLocaleString('en'),
  String(failedGets),
  String(failedPosts),
  `${Number.isNaN(retries) ? '–' : retries} + ${repeated}`,
  load.streams.toLocaleString('en'),
  String(load.droppedStreams),
  ms(load.p50),
  ms(load.p99),
];

async function started(scope: Scope, build: ProductionBuild, engine: Engine): Promise<Stack> {
  const folder = await scope.folder('rolling');
  await writeFile(join(folder, 'api.cjs'), FRONTED_API);
  const api = {
    command: ['node', 'api.cjs'],
    env: { PORT: '${port}' },
    readiness: { http: '/health' },
    // What is killed so often is to come back as if it were the first time.
    restart: { maxExits: 1_000, maxDelayMs: 250 },
  };
  await writeFile(join(folder, 'helix.config.json'), JSON.stringify({ services: { api } }));
  const plan = await loadPlan(folder);
  if (!plan) throw new Error(`${folder} holds no configuration.`);
  const chosen = { ...plan, proxy: { ...plan.proxy, ...engine } };
  const stack = await openDemoStack(scope, { plan: chosen, build }, true);
  await ended(stack.start());
  return stack;
}

async function underLoad(
  scope: Scope,
  stack: Stack,
  { engine }: Engine,
  work: () => Promise<readonly number[]>,
): Promise<Seen> {
  const { url, readyPort } = service(stack, PROXY);
  const before = await retriesOf(url!);
  const [file, ...args] = nodeProgram('rolling-load', String(readyPort), engine);
  const child: ChildProcess = scope.spawn(file!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  const times = await work();
  const retries = (await retriesOf(url!)) - before;
  child.stdin!.end();
  const load = JSON.parse(await text(child.stdout!)) as RollingFigures;
  return { times, load: { ...load, retries: engine === 'embedded' ? retries : NaN } };
}

async function rollAll(stack: Stack, { engine }: Engine, options: BenchOptions): Promise<number[]> {
  const times: number[] = [];
  const count = roundsOf(options, 20, 3);
  while (times.length < count) {
    const began = performance.now();
    const { outcome, notes } = await stack.roll(API);
    await ended(Promise.resolve(outcome));
    if (notes.length > 0) throw new Error(notes.join(' '));
    times.push(performance.now() - began);
    options.say(`${engine}: rolling restart ${times.length} of ${count}, ${ms(times.at(-1)!)} ms`);
  }
  return times;
}

async function killAll(stack: Stack, { engine }: Engine, options: BenchOptions): Promise<number[]> {
  const times: number[] = [];
  const count = roundsOf(options, 20, 4);
  const replicas = stack.snapshot.services.filter(one => one.id === API || one.replicaOf === API).map(({ id }) => id);
  while (times.length < count) {
    const victim = replicas[times.length % replicas.length]!;
    const { pid } = service(stack, victim);
    const began = performance.now();
    process.kill(pid!, 'SIGKILL');
    await until(stack, victim, one => one.state.kind === 'healthy' && one.pid !== pid);
    times.push(performance.now() - began);
    options.say(`${engine}: kill ${times.length} of ${count}, ${ms(times.at(-1)!)} ms`);
  }
  return times;
}

async function ended(outcome: Promise<{ readonly kind: string }>): Promise<void> {
  const answer = await outcome;
  if (answer.kind !== 'started') throw new Error(JSON.stringify(answer));
}

const service = ({ snapshot }: Stack, id: ServiceId): ServiceSnapshot => snapshot.services.find(one => one.id === id)!;

const until = (stack: Stack, id: ServiceId, is: (one: ServiceSnapshot) => boolean): Promise<boolean> =>
  waitFor(`another ${id}`, () => is(service(stack, id)), { interval: LOOK_MS, seen: () => stack.snapshot });

async function retriesOf(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/__helix/metrics`)).text();
  return Number(/^helix_proxy_retries_total (?<count>\d+)$/m.exec(metrics)?.groups?.['count']);
}
