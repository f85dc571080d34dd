import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import getPort from 'get-port';
import { startFrontServer } from './front-server.ts';
import { readManifest } from './npm.ts';
import { endTree, type ProcessInfo } from './process-tree.ts';
import type { VscodeInstall } from './vscode-install.ts';
import { waitFor } from './wait.ts';

export { ensureVscode, vscodeVersions, type VscodeInstall, type VscodeVersion } from './vscode-install.ts';

export type Settings = Readonly<Record<string, unknown>>;

export interface VscodeOptions {
  /** Where installed extensions are found; an empty folder by default. */
  readonly extensionsDir?: string;
  /** Settings, logs and state of the server; a new folder by default, removed with the server. */
  readonly dataDir?: string;
  /** User settings on top of those that keep VS Code quiet. */
  readonly settings?: Settings;
  /** Added to the environment, which extensions and terminals inherit; `undefined` takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** `false` leaves workspace trust on: an opened folder is then untrusted until the user says otherwise. */
  readonly trusted?: boolean;
  /**
   * Allows what a built VS Code refuses otherwise: to load an extension and a test suite named in the page's address.
   * It also keeps toasts and dialogs from showing, so it is for host suites only.
   */
  readonly testDriver?: boolean;
}

export interface Vscode {
  readonly install: VscodeInstall;
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  readonly dataDir: string;
  /** The server's own output so far. */
  readonly output: () => string;
  /** Answers with the output once the server has ended. */
  readonly ended: Promise<string>;
  /**
   * Changes the user settings, for windows that are opened or reloaded afterwards (those that are open notice it only
   * at times; the workspace's own settings they notice always). `undefined` removes a setting.
   */
  updateSettings(patch: Settings): Promise<void>;
  /**
   * Ends the server with all below it and removes what it kept in temporary folders.
   * Answers with the processes that had outlived it and were ended by force.
   */
  dispose(): Promise<readonly ProcessInfo[]>;
}

/** Everything that would stand in the way of a test or a screenshot: greetings, tips, telemetry, dialogs. */
const quietSettings: Settings = {
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.reduceMotion': 'on',
  'window.confirmBeforeClose': 'never',
  'chat.commandCenter.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'update.showReleaseNotes': false,
  'extensions.ignoreRecommendations': true,
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'security.workspace.trust.startupPrompt': 'never',
  'git.openRepositoryInParentFolders': 'never',
  'git.autofetch': false,
  'remote.autoForwardPorts': false,
  'terminal.integrated.gpuAcceleration': 'off',
  'terminal.integrated.tabs.hideCondition': 'never',
};

/** Starts a VS Code server on free loopback ports and waits until it serves the workbench. */
export async function startVscode(install: VscodeInstall, options: VscodeOptions = {}): Promise<Vscode> {
  const scratch = await mkdtemp(join(tmpdir(), 'helix-vscode-'));
  const dataDir = resolve(options.dataDir ?? join(scratch, 'data'));
  const settingsFile = join(dataDir, 'data/User/settings.json');
  const onExit = (): void => rmSync(scratch, { recursive: true, force: true });
  process.once('exit', onExit);
  const cleanUp = async (): Promise<void> => {
    await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
    process.off('exit', onExit);
  };
  try {
    await writeJson(settingsFile, { ...quietSettings, ...options.settings });
    const server = await launch(install, {
      dataDir,
      extensionsDir: resolve(options.extensionsDir ?? join(scratch, 'extensions')),
      env: { ...cleanEnv(), ...options.env },
      trusted: options.trusted ?? true,
      testDriver: options.testDriver ?? false,
    });
    const front = await startFrontServer(server.port);
    return {
      install,
      port: front.port,
      url: `http://127.0.0.1:${front.port}`,
      pid: server.pid,
      dataDir,
      output: server.output,
      ended: server.ended,
      updateSettings: async patch => {
        const current = JSON.parse(await readFile(settingsFile, 'utf8')) as Settings;
        await writeJson(settingsFile, { ...current, ...patch });
      },
      dispose: async () => {
        await front.dispose();
        server.release();
        const left = await endTree(server.pid);
        await cleanUp();
        return left;
      },
    };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

interface LaunchOptions {
  readonly dataDir: string;
  readonly extensionsDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly trusted: boolean;
  readonly testDriver: boolean;
}

interface Server {
  readonly pid: number;
  readonly port: number;
  readonly output: () => string;
  readonly ended: Promise<string>;
  /** Takes back the promise to end the server with this process. */
  readonly release: () => void;
}

// A free port can be taken by another before the server binds it; then the next one is tried.
async function launch(install: VscodeInstall, options: LaunchOptions): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const server = spawnServer(install, await getPort({ host: '127.0.0.1' }), options);
    try {
      await untilServing(server);
      return server;
    } catch (error) {
      server.release();
      await endTree(server.pid);
      if (attempt === 3 || !server.output().includes('EADDRINUSE')) throw error;
    }
  }
}

function spawnServer(install: VscodeInstall, port: number, options: LaunchOptions): Server {
  const child = spawn(install.node, serverArgs(port, options), {
    cwd: install.folder,
    env: options.env,
    // A process group of its own: the terminal's Ctrl-C is for us, and we end the server in order.
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-50_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(`${output}\n${error.message}`));
    child.once('exit', code => resolve(`${output}\nIt ended with ${code}.`));
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${install.node} could not be started.`);
  // Should we end without `dispose`, the server must not stay behind.
  const onExit = (): void => killGroup(pid);
  process.once('exit', onExit);
  return { pid, port, ended, output: () => output, release: () => void process.off('exit', onExit) };
}

function killGroup(pid: number): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function serverArgs(port: number, options: LaunchOptions): string[] {
  return [
    'out/server-main.js',
    ...['--host', '127.0.0.1', '--port', String(port), '--without-connection-token', '--accept-server-license-terms'],
    ...['--server-data-dir', options.dataDir, '--extensions-dir', options.extensionsDir],
    // Links open without a question whether their site is trusted.
    ...['--disable-telemetry', '--link-protection-trusted-domains', '*'],
    ...(options.testDriver ? ['--enable-smoke-test-driver'] : []),
    ...(options.trusted ? ['--disable-workspace-trust'] : []),
  ];
}

// Nothing of an editor or an npm run around us may reach the extension host and its terminals.
function cleanEnv(): NodeJS.ProcessEnv {
  const foreign = /^(VSCODE_|ELECTRON_|npm_|INIT_CWD$|NODE_OPTIONS$|TERM_PROGRAM)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

async function untilServing(server: Server): Promise<void> {
  let last: string | undefined;
  void server.ended.then(output => (last = output));
  const serves = async (): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${server.port}/version`, { signal: AbortSignal.timeout(5000) })).ok;
  await waitFor("VS Code's server to serve", async () => last !== undefined || (await serves()), {
    seen: server.output,
  });
  if (last !== undefined) throw new Error(`VS Code's server did not start:\n${last}`);
}

/** Installs a .vsix the way a user does. */
export async function installVsix(install: VscodeInstall, vsix: string, extensionsDir: string): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'helix-vsix-'));
  const dirs = ['--extensions-dir', resolve(extensionsDir), '--server-data-dir', scratch];
  const args = ['out/server-main.js', '--install-extension', resolve(vsix), '--force', '--accept-server-license-terms'];
  const result = await execa(install.node, [...args, ...dirs], {
    cwd: install.folder,
    env: cleanEnv(),
    extendEnv: false,
    all: true,
    reject: false,
  });
  await rm(scratch, { recursive: true, force: true });
  if (result.failed || !/successfully installed/.test(result.all)) {
    throw new Error(`${vsix} was not installed. VS Code said:\n${result.all || result.message}`);
  }
}

/** Makes an extension under development an installed one: every window, the user's own browser too, then has it. */
export async function linkExtension(extensionPath: string, extensionsDir: string): Promise<void> {
  const { publisher, name, version } = await readManifest(extensionPath);
  const target = join(extensionsDir, `${publisher}.${name}-${version}`);
  await mkdir(extensionsDir, { recursive: true });
  await symlink(resolve(extensionPath), target, 'junction');
}

/** A copy of a folder in a temporary place, for runs that change it. */
export async function temporaryCopy(folder: string): Promise<{ folder: string; dispose(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'helix-workspace-'));
  const copy = join(root, folder.split(/[\\/]/).at(-1) ?? 'workspace');
  await cp(folder, copy, { recursive: true, verbatimSymlinks: true });
  return { folder: copy, dispose: () => rm(root, { recursive: true, force: true, maxRetries: 5 }) };
}

// Beside and renamed: VS Code reads a settings file as soon as it changes, and must not find half of it.
async function writeJson(file: string, value: unknown): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, JSON.stringify(value, undefined, 2));
  await rename(`${file}.new`, file);
}
