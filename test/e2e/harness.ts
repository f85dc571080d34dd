import { chmod, cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import getPort from 'get-port';
import { type Browser } from 'playwright-core';
import { descendants, identify } from '../../src/run/processes.ts';
import { createDemoWorkspace, setDemoVariable } from '../../src/session/demo-workspace.ts';
import { launchBrowser } from '../support/browser.ts';
import { outDir, repoRoot } from '../support/paths.ts';
import {
  ensureVscode,
  installVsix,
  linkExtension,
  startVscode,
  type Vscode,
  type VscodeOptions,
} from '../support/vscode.ts';
import { type OpenOptions, Workbench } from '../support/workbench.ts';

export interface Status {
  readonly workspace: string;
  readonly services: readonly {
    readonly id: string;
    readonly state: string;
    readonly port: number | null;
    readonly url: string | null;
    readonly pid: number | null;
    readonly restarts: number;
  }[];
}

/** A VS Code with the extension in a world of its own: own state folder, own ports, gone without a trace at the end. */
export class World {
  private readonly workbenches: Workbench[] = [];
  private readonly folders: string[] = [];

  private constructor(
    readonly root: string,
    readonly browser: Browser,
    readonly vscode: Vscode,
  ) {}

  /** `vsix`: the packaged extension is installed, rather than the checkout linked. `others`: further extensions. */
  static async create(
    options: VscodeOptions & { readonly vsix?: string; readonly others?: readonly string[] } = {},
  ): Promise<World> {
    const root = await realpath(await mkdtemp(join(tmpdir(), 'helix-e2e-')));
    const install = await ensureVscode('newest');
    // PostgreSQL does not run as root, and its other user has to get at its data.
    await chmod(root, 0o755);
    await mkdir(join(root, 'state'));
    const extensionsDir = join(root, 'extensions');
    await mkdir(extensionsDir);
    if (options.vsix) await installVsix(install, options.vsix, extensionsDir);
    else await linkExtension(repoRoot, extensionsDir);
    for (const other of options.others ?? []) await linkExtension(other, extensionsDir);
    const env = { ...options.env, HELIX_PORTS_HOME: join(root, 'state') };
    const vscode = await startVscode(install, { ...options, extensionsDir, env });
    return new World(root, await launchBrowser(), vscode);
  }

  async open(options: OpenOptions = {}): Promise<Workbench> {
    const workbench = await Workbench.open(this.browser, this.vscode, options);
    this.workbenches.push(workbench);
    return workbench;
  }

  /** The demo in a folder of its own, with PostgreSQL on a port that is free. */
  async demo(): Promise<string> {
    const folder = await createDemoWorkspace(join(repoRoot, 'dist', 'demo'), this.root);
    await setDemoVariable(folder, 'POSTGRES_PORT', String(await getPort()));
    this.folders.push(folder);
    return folder;
  }

  async fixture(name: string): Promise<string> {
    const folder = join(this.root, name);
    await cp(join(repoRoot, 'test', 'fixtures', name), folder, { recursive: true });
    this.folders.push(folder);
    return folder;
  }

  /** The command line on the same state. */
  async cli(...args: readonly string[]): Promise<{ stdout: string; stderr: string; exitCode: number | undefined }> {
    const env = { HELIX_PORTS_HOME: join(this.root, 'state') };
    const result = await execa(process.execPath, [join(repoRoot, 'dist', 'cli.cjs'), ...args], { env, reject: false });
    return { stdout: result.stdout, stderr: result.stderr, exitCode: result.exitCode };
  }

  async status(folder: string): Promise<Status> {
    return JSON.parse((await this.cli('status', '--json', '--folder', folder)).stdout) as Status;
  }

  async service(folder: string, id: string): Promise<Status['services'][number]> {
    const found = (await this.status(folder)).services.find(service => service.id === id);
    if (!found) throw new Error(`no service ${id}`);
    return found;
  }

  async dispose(): Promise<void> {
    for (const folder of this.folders) await this.cli('stop', '--folder', folder);
    for (const workbench of this.workbenches) await workbench.dispose();
    await this.browser.close();
    // VS Code's own processes may be slow to end; what counts is what the extension left.
    const left = (await this.vscode.dispose()).filter(one => !/bootstrap-fork|server-main/.test(one.command));
    await rm(this.root, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`processes were left behind: ${JSON.stringify(left)}`);
  }
}

/** `KEY=value` lines of the file as a reader of env files sees them. */
export async function envFile(folder: string, name = '.env.local'): Promise<Record<string, string>> {
  const text = await readFile(join(folder, name), 'utf8').catch(() => '');
  const pairs = text.split('\n').flatMap(line => /^([A-Z_]+)=(.*)$/.exec(line)?.slice(1, 3) ?? []);
  const entries: [string, string][] = [];
  for (let index = 0; index < pairs.length; index += 2) entries.push([pairs[index]!, pairs[index + 1]!]);
  return Object.fromEntries(entries);
}

export async function workspaceSettings(folder: string): Promise<Record<string, unknown>> {
  const text = await readFile(join(folder, '.vscode', 'settings.json'), 'utf8').catch(() => '{}');
  return JSON.parse(text) as Record<string, unknown>;
}

export const writeText = (folder: string, name: string, text: string): Promise<void> =>
  writeFile(join(folder, name), text);

/** Where `npm run package` puts its file. */
export const vsixFile = join(outDir, 'helix-dynamic-ports.vsix');

/** A zombie that nobody has asked about yet is gone. */
export const isAlive = async (pid: number): Promise<boolean> => (await identify(pid)) !== undefined;

/** The processes beneath `pid` whose command line matches. */
export async function childrenOf(pid: number, command: RegExp): Promise<number[]> {
  const pids = await descendants(pid);
  const lines = await Promise.all(pids.map(one => readFile(`/proc/${one}/cmdline`, 'utf8').catch(() => '')));
  return pids.filter((_, index) => command.test(lines[index]!.replaceAll('\0', ' ')));
}
