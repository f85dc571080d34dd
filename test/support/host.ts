import { existsSync, statSync } from 'node:fs';
import { mkdtemp, open, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format } from 'node:util';
import type { Browser } from 'playwright-core';
import { launchBrowser } from './browser.ts';
import type { HostEnv } from './host-index.ts';
import { colourful, type Counts } from './mocha-runner.ts';
import { outDir, repoRoot } from './paths.ts';
import { ensureVscode, startVscode, temporaryCopy, type Vscode, type VscodeVersion } from './vscode.ts';
import { waitFor } from './wait.ts';

export interface HostSuite {
  /** Names the tests, `test/host/<label>`, and their workspace, `test/fixtures/<label>`. */
  readonly label: string;
  readonly version: VscodeVersion;
  /** The extension under test; this repository by default. */
  readonly extensionPath?: string;
  /** Where fixtures are found; `test/fixtures` by default. */
  readonly fixtures?: string;
  readonly trusted?: boolean;
}

/** A suite that takes so long has hung, or its extension host has died. */
const suiteTimeout = 20 * 60_000;

/** Runs a mocha suite in the extension host of a real VS Code, on a copy of its fixture. */
export async function runHostSuite(suite: HostSuite): Promise<Counts> {
  const install = await ensureVscode(suite.version);
  const workspace = await fixtureCopy(suite.label, suite.fixtures);
  const scratch = await mkdtemp(join(tmpdir(), 'helix-host-'));
  const countsFile = join(scratch, 'counts.json');
  const outputFile = join(scratch, 'output.txt');
  await writeFile(outputFile, '');
  const env: HostEnv = {
    HELIX_HOST_LABEL: suite.label,
    HELIX_HOST_COUNTS: countsFile,
    HELIX_HOST_OUTPUT: outputFile,
  };
  const vscode = await startVscode(install, {
    testDriver: true,
    trusted: suite.trusted ?? true,
    // A state folder of its own: what the user of this machine runs is none of the suite's business.
    env: { ...env, HELIX_PORTS_HOME: join(scratch, 'state'), ...(colourful() ? { FORCE_COLOR: '1' } : {}) },
  });
  const browser = await launchBrowser();
  try {
    const url = await hostUrl(vscode, workspace.folder, suite.extensionPath ?? repoRoot);
    const code = await runPage(browser, vscode, url, outputFile);
    return await readCounts(countsFile, code);
  } finally {
    await browser.close();
    await vscode.dispose();
    await workspace.dispose();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A copy of a suite's workspace; an empty folder where the repository has none for it. */
export async function fixtureCopy(
  label: string,
  fixtures = join(repoRoot, 'test/fixtures'),
): Promise<{ folder: string; dispose(): Promise<void> }> {
  const fixture = join(fixtures, label);
  if (existsSync(fixture)) return temporaryCopy(fixture);
  const folder = await mkdtemp(join(tmpdir(), `helix-${label}-`));
  return { folder, dispose: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) };
}

/** The `.code-workspace` file in a folder, where it has one: then it is opened in place of the folder. */
export async function workspaceFileIn(folder: string): Promise<string | undefined> {
  const name = (await readdir(folder)).find(file => file.endsWith('.code-workspace'));
  return name && join(folder, name);
}

async function hostUrl(vscode: Vscode, folder: string, extensionPath: string): Promise<string> {
  const remote = (path: string): string => `vscode-remote://127.0.0.1:${vscode.port}${path}`;
  const url = new URL(vscode.url);
  const workspaceFile = await workspaceFileIn(folder);
  url.searchParams.set(workspaceFile ? 'workspace' : 'folder', workspaceFile ?? folder);
  url.searchParams.set(
    'payload',
    JSON.stringify([
      ['extensionDevelopmentPath', remote(extensionPath)],
      ['extensionTestsPath', remote(join(outDir, 'test/support/host-index.cjs'))],
    ]),
  );
  return url.href;
}

/** Loads the page, shows what the tests write, and waits for their end. */
async function runPage(browser: Browser, vscode: Vscode, url: string, outputFile: string): Promise<number> {
  const page = await browser.newPage();
  const consoleLines: string[] = [];
  let code: number | undefined;
  await page.exposeFunction('codeAutomationLog', (level: string, args: unknown[]) => {
    consoleLines.push(`${level} ${format(...args)}`);
  });
  await page.exposeFunction('codeAutomationExit', (exit: number) => (code = exit));
  await page.goto(url);
  const output = await follow(outputFile);
  try {
    await waitFor('the end of the host suite', () => code !== undefined, {
      timeout: suiteTimeout,
      seen: () => [...consoleLines.slice(-40), vscode.output()].join('\n'),
    });
  } finally {
    await output.stop();
  }
  if (!output.written()) console.log(consoleLines.join('\n'));
  return code ?? 1;
}

/** Shows what is appended to a file, as it comes. */
async function follow(file: string): Promise<{ written(): boolean; stop(): Promise<void> }> {
  const handle = await open(file);
  const more = async (): Promise<void> => {
    const { bytesRead, buffer } = await handle.read({ buffer: Buffer.alloc(1 << 16) });
    if (!bytesRead) return;
    process.stdout.write(buffer.subarray(0, bytesRead));
    await more();
  };
  let reading = Promise.resolve();
  const timer = setInterval(() => void (reading = reading.then(more)), 200);
  return {
    written: () => statSync(file).size > 0,
    stop: async () => {
      clearInterval(timer);
      await reading.then(more);
      await handle.close();
    },
  };
}

async function readCounts(file: string, code: number): Promise<Counts> {
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as Counts;
  throw new Error(`The host suite ended with ${code} before its tests had run. The output above tells why.`);
}
