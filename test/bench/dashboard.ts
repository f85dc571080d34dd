import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { DashboardServer } from '../../src/cli/dashboard-server.ts';
import { isRunning, toServiceId } from '../../src/model/service.ts';
import { loadPlan } from '../../src/session/load-plan.ts';
import type { Stack } from '../../src/session/stack.ts';
import { launchBrowser } from '../support/browser.ts';
import { waitFor } from '../support/wait.ts';
import { freeBands } from './bands.ts';
import { type Bench, type BenchOptions, roundsOf } from './bench.ts';
import { openDemoStack, ownStateHome } from './demo-stack.ts';
import { median, quantile, ms, spread, table } from './figures.ts';
import { productionBuild } from './production-build.ts';

const LIMIT_MS = 200;
const API = toServiceId('api');

/** Healthy over HTTP; prints the time when it is asked to. */
const SERVICE = `
  require('node:http').createServer((request, response) => {
    if (request.url === '/say') console.log('said at ' + (performance.timeOrigin + performance.now()));
    response.end('{}');
  }).listen(Number(process.env.PORT), '127.0.0.1');
`;

export const dashboard: Bench = {
  name: 'dashboard',
  title: 'From a change to the dashboard showing it',
  method: `The dashboard as \`helix-ports dashboard\` serves it, production build, in a real Chromium on the same cores, beside three services. A
service is restarted again and again, killed, and made to print. "State": from the moment at which the client's snapshot of the stack
changes (what the tree and the status bar are told) until the card's \`data-state\` is that state. "Kill": from the signal until the card
shows that the service is not healthy, the supervisor's part included. "Port": from the snapshot in which a new process listens until
the map names it. "Line": from \`console.log\` in the service until the line is in the page. "On the screen": until the next frame of
the page begins after that. Clocks are those of one machine. Figures: ms, median (lowest–highest), and the 95th percentile. Bar: ${LIMIT_MS} ms.`,
  run: measure,
};

/** What the page's observer has noted; times are milliseconds since the epoch. */
interface Noted {
  readonly what: string;
  readonly at: number;
  readonly shownAt: number;
}

interface Sample {
  readonly inPage: number;
  readonly onScreen: number;
}

type Kind = 'state' | 'kill' | 'port' | 'line';
const WORDS: Readonly<Record<Kind, string>> = {
  state: 'state of a service',
  kill: 'a service that is killed',
  port: 'the process on a port, in the map',
  line: 'a line of output',
};

const now = (): number => performance.timeOrigin + performance.now();

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  say('building for production');
  const build = await productionBuild(scope);
  await ownStateHome(scope);
  const folder = await scope.folder('dashboard');
  const [band] = await freeBands(1);
  const http = {
    command: ['${node}', '-e', SERVICE],
    env: { PORT: '${port}' },
    port: band,
    readiness: { http: '/' },
    // A crash loop and long pauses are not what is measured.
    restart: { maxExits: 1_000, initialDelayMs: 100, maxDelayMs: 100 },
  };
  const config = { services: { api: http, second: http, third: http }, proxy: { enabled: false } };
  await writeFile(join(folder, 'helix.config.json'), JSON.stringify(config));
  const plan = await loadPlan(folder);
  if (!plan) throw new Error(`${folder} holds no HELIX.`);
  const stack = await openDemoStack(scope, { plan, build }, false);
  const outcome = await stack.start();
  if (outcome.kind !== 'started') throw new Error(`the services did not start: ${outcome.kind}`);
  const server = await DashboardServer.listen(stack, join(build.dist, 'dashboard'));
  scope.defer(() => server.dispose());
  const browser = await launchBrowser();
  scope.defer(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.locator('article[data-state=healthy]').nth(2).waitFor();
  await page.locator('[role=gridcell].ours').nth(2).waitFor();
  await page.evaluate(observe);
  return tableOf(await new Watch(stack, page).rounds(options));
}

/** Changes a service and looks when the page shows it. */
class Watch {
  private readonly samples: Record<Kind, Sample[]> = { state: [], kill: [], port: [], line: [] };
  /** When the stack's client was told each state of the service, and each of its processes. */
  private readonly told: { readonly what: string; readonly at: number }[] = [];

  constructor(
    private readonly stack: Stack,
    private readonly page: Page,
  ) {
    let last = { state: '', pid: 0 };
    stack.onChange(() => {
      const { state, pid, url } = this.service;
      if (state.kind !== last.state) this.told.push({ what: `state ${state.kind}`, at: now() });
      const listens = url === undefined ? last.pid : (pid ?? last.pid);
      if (listens !== last.pid) this.told.push({ what: `port ${listens}`, at: now() });
      last = { state: state.kind, pid: listens };
    });
  }

  async rounds(options: BenchOptions): Promise<Readonly<Record<Kind, readonly Sample[]>>> {
    const rounds = roundsOf(options, 20, 3);
    for (let round = 0; round < rounds; round++) {
      options.say(`round ${round + 1} of ${rounds}`);
      await this.restart();
      await this.say();
      await this.kill();
    }
    return this.samples;
  }

  private get service(): Stack['snapshot']['services'][number] {
    return this.stack.snapshot.services.find(one => one.id === API)!;
  }

  private async restart(): Promise<void> {
    await this.forget();
    await this.stack.restart(API);
    await this.take('state', 'state healthy');
    await this.take('port', `port ${this.service.pid}`);
  }

  private async say(): Promise<void> {
    await this.forget();
    await fetch(`${this.service.url}/say`);
    const { what, at, shownAt } = await this.noted(/^line said at /);
    const began = Number(what.slice('line said at '.length));
    this.samples.line.push({ inPage: at - began, onScreen: shownAt - began });
  }

  private async kill(): Promise<void> {
    await this.forget();
    const began = now();
    process.kill(this.service.pid!, 'SIGKILL');
    const { at, shownAt } = await this.noted(/^state (?!healthy)/);
    this.samples.kill.push({ inPage: at - began, onScreen: shownAt - began });
    await waitFor('the restart', () => this.service.state.kind === 'healthy' && isRunning(this.service.state), {
      interval: 20,
    });
    await this.noted(/^state healthy/);
  }

  private async forget(): Promise<void> {
    this.told.length = 0;
    await this.page.evaluate(() => void ((window as unknown as { noted: Noted[] }).noted.length = 0));
  }

  /** Every change of this kind that was told, up to the one that is waited for. */
  private async take(kind: 'state' | 'port', last: string): Promise<void> {
    await this.noted(new RegExp(`^${last}$`));
    const all = await this.all();
    for (const { what, at } of this.told) {
      // A state that passes within one message is never shown.
      const shown = what.startsWith(kind) ? all.find(one => one.what === what && one.at >= at) : undefined;
      if (shown) this.samples[kind].push({ inPage: shown.at - at, onScreen: shown.shownAt - at });
    }
  }

  private noted(pattern: RegExp): Promise<Noted> {
    return waitFor(
      `${pattern} in the page`,
      async () => (await this.all()).find(({ what, shownAt }) => pattern.test(what) && shownAt > 0),
      { interval: 20, seen: () => this.all() },
    );
  }

  private all(): Promise<Noted[]> {
    return this.page.evaluate(() => (window as unknown as { noted: Noted[] }).noted);
  }
}

/** Runs in the page: notes each state of the first card, each process in the map, and each line of output. */
function observe(): void {
  const noted: { what: string; at: number; shownAt: number }[] = [];
  (window as unknown as { noted: unknown }).noted = noted;
  const time = (): number => performance.timeOrigin + performance.now();
  const note = (what: string): void => {
    const entry = { what, at: time(), shownAt: 0 };
    noted.push(entry);
    requestAnimationFrame(() => (entry.shownAt = time()));
  };
  new MutationObserver(mutations => {
    for (const { target, type, addedNodes } of mutations) {
      if (type === 'attributes' && target instanceof HTMLElement) {
        const pid = /; pid (\d+) .*listens$/.exec(target.getAttribute('aria-label') ?? '')?.[1];
        if (target.matches('article:first-of-type')) note(`state ${target.dataset['state']}`);
        else if (pid) note(`port ${pid}`);
      }
      for (const node of addedNodes) {
        if (node instanceof HTMLElement && node.className === 'line') note(`line ${node.textContent}`);
      }
    }
  }).observe(document.querySelector('main')!, {
    subtree: true,
    childList: true,
    attributeFilter: ['data-state', 'aria-label'],
  });
}

function tableOf(samples: Readonly<Record<Kind, readonly Sample[]>>): string {
  const rows = Object.entries(samples).map(([kind, all]) => {
    const inPage = all.map(one => one.inPage);
    const onScreen = all.map(one => one.onScreen);
    const late = onScreen.filter(one => one > LIMIT_MS).length;
    return [
      WORDS[kind as Kind],
      String(all.length),
      spread(inPage),
      ms(quantile(inPage, 0.95)),
      `${ms(median(onScreen))} (p95 ${ms(quantile(onScreen, 0.95))})`,
      String(late),
    ];
  });
  return table(['', 'changes', 'in the page', 'p95', 'on the screen', `later than ${LIMIT_MS} ms`], rows);
}
