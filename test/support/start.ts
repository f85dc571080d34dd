import { spawn } from 'node:child_process';
import { mkdtemp, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import { launchBrowser } from './browser.ts';
import { repoRoot } from './paths.ts';
import { isRunning, prepareDemoWorkspace, stopServices, watchServices } from './start-services.ts';
import { ensureVscode, linkExtension, startVscode, type Vscode } from './vscode.ts';
import { waitFor } from './wait.ts';
import { Workbench, workbenchUrl } from './workbench.ts';

/*
 * `npm start [-- --workspace DIR] [--screenshot FILE]`: a real VS Code with this extension and HELIX running in it, until
 * Ctrl-C. With a display it opens in the user's own browser; without one, or for a screenshot, a headless Chromium
 * takes the user's place.
 */

interface Options {
  readonly workspace: string | undefined;
  readonly screenshot: string | undefined;
}

/** What was started, undone in reverse order. */
class Undo {
  private readonly steps: (() => Promise<unknown>)[] = [];

  add(step: () => Promise<unknown>): void {
    this.steps.push(step);
  }

  async run(): Promise<void> {
    if (this.steps.length) console.log('\nstopping ...');
    for (let step = this.steps.pop(); step; step = this.steps.pop()) {
      await step().catch((error: unknown) => console.error(error));
    }
  }
}

async function main(): Promise<number> {
  const options = readOptions();
  const signal = nextSignal();
  const undo = new Undo();
  try {
    const ended = start(options, undo).then(vscode => vscode.ended);
    const cause = await Promise.race([signal, ended.then(output => ({ output }))]);
    if (typeof cause === 'string') return 0;
    console.error(`VS Code's server ended by itself:\n${cause.output}`);
    return 1;
  } catch (error) {
    console.error(messageOf(error));
    return 1;
  } finally {
    await undo.run();
  }
}

function readOptions(): Options {
  const { values } = parseArgs({ options: { workspace: { type: 'string' }, screenshot: { type: 'string' } } });
  return { workspace: values.workspace, screenshot: values.screenshot };
}

/** A second signal changes nothing: Ctrl-C reaches us from the terminal and from our parent. */
function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => resolve(name));
  });
}

async function start(options: Options, undo: Undo): Promise<Vscode> {
  const install = await ensureVscode('newest');
  const folder = await workspaceFolder(options.workspace);
  const ownBrowser = hasDisplay() && !options.screenshot;

  const extensionsDir = await mkdtemp(join(tmpdir(), 'helix-extensions-'));
  undo.add(() => rm(extensionsDir, { recursive: true, force: true }));
  await linkExtension(repoRoot, extensionsDir);

  // In a browser that we do not drive, the extension runs its start command by itself.
  const settings = { 'helix.autoStart': ownBrowser };
  const vscode = await startVscode(install, { extensionsDir, settings });
  undo.add(() => vscode.dispose());
  // A stack that was there before is not ours to stop.
  if (!(await isRunning(folder))) undo.add(() => stopServices(folder));

  const url = workbenchUrl(vscode, { folder });
  const workbench = ownBrowser ? undefined : await openHeadless(vscode, folder, undo);
  if (workbench) await workbench.runCommand('HELIX: Start with dynamic ports');
  else openInBrowser(url);

  await untilHealthy(folder, workbench);
  if (workbench && options.screenshot) await takeScreenshot(workbench, resolve(options.screenshot));
  console.log(`ready  ${url}`);
  return vscode;
}

async function workspaceFolder(chosen: string | undefined): Promise<string> {
  if (chosen === undefined) return realpath(await prepareDemoWorkspace());
  const found = await stat(resolve(chosen)).catch(() => undefined);
  if (!found?.isDirectory()) throw new Error(`--workspace names ${resolve(chosen)}, which is not a folder.`);
  return realpath(resolve(chosen));
}

async function openHeadless(vscode: Vscode, folder: string, undo: Undo): Promise<Workbench> {
  const browser = await launchBrowser();
  undo.add(() => browser.close());
  return Workbench.open(browser, vscode, { folder });
}

async function untilHealthy(folder: string, workbench: Workbench | undefined): Promise<void> {
  const healthy = watchServices(folder, service => console.log(`${service.name}  healthy  ${service.address}`));
  if (!workbench) return healthy;
  const done = new AbortController();
  try {
    await Promise.race([healthy, errorShown(workbench, done.signal)]);
  } finally {
    done.abort();
  }
}

/** The stack as a user looks at it: the view open, and what was said while it started gone. */
async function takeScreenshot(workbench: Workbench, file: string): Promise<void> {
  await workbench.openView('HELIX');
  await waitFor('the progress of the start to end', async () => {
    const shown = await workbench.notifications.all();
    return !shown.some(one => one.buttons.includes('Cancel'));
  });
  await workbench.notifications.clear();
  await workbench.screenshot(file);
}

/** Rejects as soon as the workbench shows an error, which nobody is there to read. */
async function errorShown(workbench: Workbench, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const error = (await workbench.notifications.all()).find(one => one.severity === 'error');
    if (error) throw new Error(error.message);
    await sleep(500);
  }
}

function hasDisplay(): boolean {
  if (process.platform === 'darwin' || process.platform === 'win32') return true;
  return Boolean(process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY']);
}

function openInBrowser(url: string): void {
  const [command, ...args] = browserCommand(url);
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  child.once('error', () => console.log(`No browser could be opened. Open this address in one: ${url}`));
  child.unref();
}

function browserCommand(url: string): [string, ...string[]] {
  switch (process.platform) {
    case 'darwin':
      return ['open', url];
    case 'win32':
      return ['rundll32', 'url.dll,FileProtocolHandler', url];
    default:
      return ['xdg-open', url];
  }
}

main().then(
  code => process.exit(code),
  (error: unknown) => {
    console.error(messageOf(error));
    process.exit(1);
  },
);
