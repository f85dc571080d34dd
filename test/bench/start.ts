import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { launchBrowser } from '../support/browser.ts';
import { readManifest } from '../support/npm.ts';
import { ensureVscode, startVscode } from '../support/vscode.ts';
import { type Bench, type BenchOptions, rotated, roundsOf } from './bench.ts';
import { type ReadyTimes, startByHand } from './by-hand.ts';
import {
  type Demo,
  handDemoOf,
  makeDemo,
  openDemoStack,
  ownStateHome,
  type StateHome,
  withoutProxy,
} from './demo-stack.ts';
import { median, ms, Samples, spread, table } from './figures.ts';
import { type HostEnv, ordersFile } from './host-env.ts';
import { type ProductionBuild, productionBuild } from './production-build.ts';
import { endChild, type Scope } from './scope.ts';
import { spawningShell } from './spawning-shell.ts';
import { note, type ServiceTrace, type StartTrace } from './start-trace.ts';
import { BenchWindow } from './window.ts';

const BY_HAND = 'by hand';
const STACK = '`Stack.start`';
/** After it has opened a window works on for some seconds. */
const SETTLE_MS = 8_000;
const LOOK_MS = 100;

export const start: Bench = {
  name: 'start',
  title: 'From the start command to "all healthy", and the same four processes by hand',
  method: `The demo HELIX (PostgreSQL, API, orchestrator, worker) on a warm cluster that was shut down in order, production build, services
on the Node of this process; the window's on the one that VS Code runs on. By hand: PostgreSQL with the same data and
arguments, and as soon as it takes a login (looked at every 10 ms) the other three at once with given ports, until the API's
health is 200 and the two others have printed "polling". \`Stack.start\`: the call in a running process, as an editor makes it,
until these four are healthy; by default the proxy in front is a fifth, which nobody starts by hand. Command line: the
process \`helix-ports start\` from its start to the last "healthy" line. Window: the command "HELIX: Start with dynamic ports"
in the extension host of a real VS Code, terminals and progress included, until all are healthy (looked at every 5 ms); by
hand in the same window: a new integrated terminal with the user's shell for each process, the lines typed into them. In
turn, in an order that changes from round to round, the window open all the time, its Chromium on the same cores. Figures:
ms, median (lowest–highest). Bar: at most 500 ms above by hand.`,
  run: measure,
};

interface Contender {
  readonly name: string;
  /** What its figure is held against: the same by hand in the same surroundings. */
  readonly against?: string;
  /** Starts everything, stops it again, and answers how long the start took, with its steps where they are known. */
  readonly run: () => Promise<number | StartTrace>;
}

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  const rounds = roundsOf(options, 10, 3);
  say('building for production');
  const build = await productionBuild(scope);
  const home = await ownStateHome(scope);
  const demo = await makeDemo(scope, build);
  say('making the cluster');
  await startInProcess(scope, demo);
  const handDemo = await handDemoOf(home, demo);
  const hand: ReadyTimes[] = [];
  const byHand = async (): Promise<number> => {
    const times = await scope.nested(own => startByHand(spawningShell(own), handDemo));
    hand.push(times);
    return lastOf(times);
  };
  const contenders: Contender[] = [
    { name: BY_HAND, run: byHand },
    { name: `${STACK}, the four`, against: BY_HAND, run: () => startInProcess(scope, withoutProxy(demo)) },
    { name: `${STACK}, with the proxy`, against: BY_HAND, run: () => startInProcess(scope, demo) },
    { name: 'command line, with the proxy', against: BY_HAND, run: () => startFromCommandLine(scope, demo) },
    ...(await windowContenders(scope, home, build, say)),
  ];
  const times = new Samples<number>();
  const traces = new Samples<StartTrace>();
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of rotated(contenders, round)) {
      const result = await run();
      const tookMs = typeof result === 'number' ? result : result.tookMs;
      times.add(tookMs, name);
      if (typeof result !== 'number') traces.add(result, name);
      say(`round ${round + 1} of ${rounds}: ${name} ${ms(tookMs)} ms`);
    }
  }
  const rows = contenders.map(({ name, against }) => {
    const above = against === undefined ? undefined : median(times.get(name)) - median(times.get(against));
    const signed = above === undefined ? '' : `${above < 0 ? '−' : '+'}${ms(Math.abs(above))}`;
    return [name, spread(times.get(name)), signed, against ?? ''];
  });
  const traced = contenders.map(({ name }) => name).filter(name => traces.get(name).length > 0);
  return [
    table(['', 'ms to all healthy', 'above', 'what'], rows),
    'The steps, ms from the call (medians):',
    ...traced.map(name => phases(name, traces.get(name), hand)),
  ].join('\n\n');
}

const lastOf = (times: ReadyTimes): number => Math.max(...Object.values(times));

function startInProcess(outer: Scope, demo: Demo): Promise<StartTrace> {
  return outer.nested(async scope => {
    const stack = await openDemoStack(scope, demo, false);
    const trace: StartTrace = { tookMs: 0, services: {} };
    const began = performance.now();
    stack.onChange(({ services }) => note(trace, services, performance.now() - began));
    const outcome = await stack.start();
    trace.tookMs = performance.now() - began;
    if (outcome.kind !== 'started') throw new Error(`The demo did not start: ${JSON.stringify(outcome)}`);
    return trace;
  });
}

/** Where the time of a start goes, beside the same processes by hand. */
function phases(name: string, traces: readonly StartTrace[], hand: readonly ReadyTimes[]): string {
  const at = (id: string, step: keyof ServiceTrace): string =>
    ms(median(traces.flatMap(trace => trace.services[id]?.[step] ?? [])));
  const rows = (['postgres', 'api', 'orchestrator', 'worker'] as const).map(id => [
    id,
    ...(['linked', 'asked', 'spawned', 'healthy'] as const).map(step => at(id, step)),
    ms(median(hand.map(one => one[id]))),
  ]);
  return table([name, 'supervisor there', 'told to start', 'process', 'healthy', BY_HAND], rows);
}

async function startFromCommandLine(outer: Scope, demo: Demo): Promise<number> {
  return outer.nested(async scope => {
    const began = performance.now();
    const args = [join(demo.build.dist, 'cli.cjs'), 'start', '--folder', demo.folder];
    const child = scope.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] }, 'SIGINT');
    const healthy = new Set<string>();
    const lines = createInterface({ input: child.stdout! });
    const all = new Promise<number>(resolve => {
      lines.on('line', line => {
        const [id, state] = line.split(/\s+/);
        if (id && state === 'healthy') healthy.add(id);
        if (healthy.size === demo.plan.services.length) resolve(performance.now() - began);
      });
    });
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`helix-ports start ended with ${code}.`);
    });
    const tookMs = await Promise.race([all, ended]);
    ended.catch(() => undefined);
    await endChild(child, 'SIGINT');
    return tookMs;
  });
}

async function windowContenders(
  scope: Scope,
  home: StateHome,
  build: ProductionBuild,
  say: (line: string) => void,
): Promise<readonly Contender[]> {
  // A folder of its own: the window looks after what runs in its folder, whoever started it.
  const demo = await makeDemo(scope, build);
  const { publisher, name } = await readManifest(build.folder);
  const results = join(await scope.folder('start'), 'results');
  await writeFile(results, '');
  await writeFile(ordersFile(results), '');
  const handFile = `${results}.hand`;
  const env: HostEnv = {
    HELIX_BENCH_EXTENSION: `${publisher}.${name}`,
    HELIX_BENCH_RESULTS: results,
    HELIX_BENCH_DEMO: demo.folder,
    HELIX_BENCH_HAND: handFile,
  };
  const install = await ensureVscode('newest');
  const vscode = await startVscode(install, { testDriver: true, env: { ...env } });
  scope.defer(() => vscode.dispose());
  // Opened and closed: what it had left running is stopped.
  scope.defer(() => scope.nested(own => openDemoStack(own, demo, false)));
  const browser = await launchBrowser();
  scope.defer(() => browser.close());
  say('opening the window');
  const window = await BenchWindow.open(browser, vscode, {
    folder: demo.folder,
    extension: build.folder,
    program: 'host-start',
  });
  scope.defer(() => window.close());
  let orders = 0;
  const order = async <Answer>(word: 'start' | 'hand'): Promise<Answer> => {
    await appendFile(ordersFile(results), `${word}\n`);
    orders++;
    for (;;) {
      window.assertWell();
      const lines = (await readFile(results, 'utf8')).split('\n');
      if (lines.length > orders) return JSON.parse(lines[orders - 1]!) as Answer;
      await sleep(LOOK_MS);
    }
  };
  await order('start');
  await writeFile(handFile, JSON.stringify(await handDemoOf(home, demo)));
  await sleep(SETTLE_MS);
  const byHand = `by hand, in the window's terminals`;
  return [
    { name: byHand, run: async () => lastOf(await order<ReadyTimes>('hand')) },
    {
      name: `window of VS Code ${install.product}, with the proxy`,
      against: byHand,
      run: () => order<StartTrace>('start'),
    },
  ];
}
