import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Page } from 'playwright-core';
import { CONFIG_FILE } from '../../src/session/config-file.ts';
import { launchBrowser } from '../support/browser.ts';
import { readManifest } from '../support/npm.ts';
import { ensureVscode, startVscode } from '../support/vscode.ts';
import { waitFor } from '../support/wait.ts';
import { type Bench, type BenchOptions, roundsOf } from './bench.ts';
import { makeDemo, openDemoStack, ownStateHome } from './demo-stack.ts';
import { Samples, spread, table } from './figures.ts';
import { type FoundTimes, HIDDEN_CONFIG, type HostEnv, SETTLE_FIRST } from './host-env.ts';
import { productionBuild } from './production-build.ts';
import { BenchWindow } from './window.ts';

export const reconnect: Bench = {
  name: 'reconnect',
  title: 'An extension host finds the services that run',
  method: `The demo HELIX runs and no editor knows of it, as after the extension host was killed. Each round opens a window of a real
VS Code on its folder, and so a new extension host, with a production build of the extension. The time runs from the call of
\`activate()\` until the extension's list holds every service as healthy with the pid and the port that it had before, until
\`helix.apiUrl\`, which has been removed from the settings, is the address that answers, and until the window's status bar
shows the API's port (looked at in each frame): in half of the windows at once, while the workbench and its own extensions still load
on the same cores, in the others after 4 s of rest. Figures: ms, median (lowest–highest). Bar: 2,000 ms.`,
  run: measure,
};

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  const rounds = roundsOf(options, 10, 3);
  say('building for production');
  const build = await productionBuild(scope);
  await ownStateHome(scope);
  const demo = await makeDemo(scope, build);
  const stack = await openDemoStack(scope, demo, false);
  say('starting the demo');
  await stack.start();
  const { publisher, name } = await readManifest(build.folder);
  const results = join(await scope.folder('reconnect'), 'results');
  await writeFile(results, '');
  const env: HostEnv = {
    HELIX_BENCH_EXTENSION: `${publisher}.${name}`,
    HELIX_BENCH_RESULTS: results,
    HELIX_BENCH_DEMO: demo.folder,
  };
  const install = await ensureVscode('newest');
  const vscode = await startVscode(install, { testDriver: true, env: { ...env } });
  scope.defer(() => vscode.dispose());
  const browser = await launchBrowser();
  scope.defer(() => browser.close());
  const shown = new Samples<number>();
  for (let round = 0; round < rounds * 2; round++) {
    say(`window ${round + 1} of ${rounds * 2}`);
    await rename(join(demo.folder, CONFIG_FILE), join(demo.folder, HIDDEN_CONFIG));
    if (round === rounds) await writeFile(join(demo.folder, SETTLE_FIRST), '');
    await rm(join(demo.folder, '.vscode'), { recursive: true, force: true });
    const context = { folder: demo.folder, extension: build.folder, program: 'host-found' };
    const window = await BenchWindow.open(browser, vscode, context);
    const shownAt = statusBarShows(window.page, `:${stack.snapshot.services.find(one => one.id === 'api')!.port}`);
    await waitFor('the result of the round', async () => (await linesOf(results)).length > round, {
      timeout: 120_000,
      seen: () => window.assertWell(),
    });
    const { beganAt, services, settled } = (await timesOf(results))[round]!;
    shown.add((await shownAt) - beganAt, String(settled));
    const expected = stack.snapshot.services.map(({ id, pid = null, port = null }) => ({ id, pid, port }));
    if (!isDeepStrictEqual(services, expected)) {
      throw new Error(`Found ${JSON.stringify(services)} in place of ${JSON.stringify(expected)}.`);
    }
    await window.close();
  }
  const times = await timesOf(results);
  const row = (label: string, value: (one: FoundTimes) => number): string[] => [
    label,
    ...[false, true].map(settled => spread(times.filter(one => one.settled === settled).map(value))),
  ];
  return table(
    [`VS Code ${install.product}`, 'in a window that opens', 'in one at rest'],
    [
      row('all services found, same pids and ports', one => one.foundMs),
      row('settings right', one => one.publishedMs),
      ['status bar shows the API’s port', ...['false', 'true'].map(settled => spread(shown.get(settled)))],
    ],
  );
}

const linesOf = async (file: string): Promise<string[]> => (await readFile(file, 'utf8')).split('\n').filter(Boolean);

const timesOf = async (file: string): Promise<FoundTimes[]> =>
  (await linesOf(file)).map(line => JSON.parse(line) as FoundTimes);

/** When, in milliseconds since the epoch. */
function statusBarShows(page: Page, text: string): Promise<number> {
  const find = (wanted: string): number | false =>
    [...document.querySelectorAll('.statusbar-item')].some(item => item.textContent?.includes(wanted)) && Date.now();
  return page
    .waitForFunction(find, text, { polling: 'raf', timeout: 120_000 })
    .then(async handle => (await handle.jsonValue()) as number);
}
