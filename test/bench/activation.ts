import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { launchBrowser } from '../support/browser.ts';
import { readManifest } from '../support/npm.ts';
import { ensureVscode, startVscode } from '../support/vscode.ts';
import { type Bench, type BenchOptions, roundsOf } from './bench.ts';
import { ms, spread, table } from './figures.ts';
import { type ActivationTimes, EMPTY_EXTENSION, EMPTY_FIRST, type HostEnv, SETTLE_FIRST } from './host-env.ts';
import { productionBuild } from './production-build.ts';
import { BenchWindow } from './window.ts';

export const activation: Bench = {
  name: 'activation',
  title: 'Activation of the extension in a real extension host',
  method: `A real VS Code (server and workbench in a headless Chromium) with a production build of the extension. Each round opens a
fresh window, and so a fresh extension host, on an empty folder; there the demo HELIX is copied into the folder and
\`vscode.extensions.getExtension(…).activate()\` is timed, which loads the code and registers views and commands, and
the promise \`ready\` of its API, by which the configuration has been read and what runs been looked for: in one window at
once, while the workbench and its own extensions still load on the same cores, in the next after 4 s of rest. Before or
after it, in turn, an extension that does nothing is activated and timed too. Nothing of HELIX runs. Figures: ms, median (lowest–highest). Bar: under 50 ms.`,
  run: measure,
};

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  const rounds = roundsOf(options, 10, 3);
  say('building for production');
  const { folder: extension, dist } = await productionBuild(scope);
  const { publisher, name } = await readManifest(extension);
  const folder = await scope.folder('activation');
  const results = join(folder, 'results');
  await writeFile(results, '');
  const env: HostEnv = {
    HELIX_BENCH_EXTENSION: `${publisher}.${name}`,
    HELIX_BENCH_RESULTS: results,
    HELIX_BENCH_DEMO: join(dist, 'demo'),
  };
  const extensionsDir = join(folder, 'extensions');
  await writeEmptyExtension(extensionsDir);
  const install = await ensureVscode('newest');
  const vscode = await startVscode(install, {
    testDriver: true,
    extensionsDir,
    env: { ...env, HELIX_PORTS_HOME: join(folder, 'home') },
  });
  scope.defer(() => vscode.dispose());
  const browser = await launchBrowser();
  scope.defer(() => browser.close());
  for (let opened = 0; opened < rounds * 2; opened++) {
    say(`window ${opened + 1} of ${rounds * 2}`);
    const workspace = await scope.folder('workspace');
    if (opened % 2 === 1) await writeFile(join(workspace, SETTLE_FIRST), '');
    if (opened % 4 < 2) await writeFile(join(workspace, EMPTY_FIRST), '');
    const window = await BenchWindow.open(browser, vscode, {
      folder: workspace,
      extension,
      program: 'host-activation',
    });
    await window.ended();
    await window.close();
  }
  const lines = (await readFile(results, 'utf8')).trim().split('\n');
  const times = lines.map(line => JSON.parse(line) as ActivationTimes);
  const row = (label: string, value: (one: ActivationTimes) => number): string[] => [
    label,
    ...[false, true].map(settled => spread(times.filter(one => one.settled === settled).map(value))),
    ms(value(times[0]!)),
  ];
  return table(
    [`VS Code ${install.product}`, 'in a window that opens', 'in one at rest', 'the very first'],
    [
      row('activated', one => one.activeMs),
      row('an extension that does nothing, in the same windows', one => one.emptyMs),
      row('folders read, services found', one => one.readyMs),
    ],
  );
}

async function writeEmptyExtension(extensionsDir: string): Promise<void> {
  const folder = join(extensionsDir, `${EMPTY_EXTENSION.publisher}.${EMPTY_EXTENSION.name}-1.0.0`);
  await mkdir(folder, { recursive: true });
  const manifest = { ...EMPTY_EXTENSION, version: '1.0.0', engines: { vscode: '^1.90.0' }, main: './main.js' };
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...manifest, activationEvents: [] }));
  await writeFile(join(folder, 'main.js'), 'exports.activate = () => undefined;\n');
}
