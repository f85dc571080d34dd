import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';
import { applyEdits, modify } from 'jsonc-parser';
import { FAULT_VARIABLE, type FaultPoint } from '../../src/base/fault.ts';
import { createDemoWorkspace, setDemoVariable } from '../../src/session/demo-workspace.ts';
import { below, type Process, processes, processOf, startTime } from './proc.ts';

export interface Row {
  readonly id: string;
  readonly state: string;
  readonly port: number | null;
  readonly url: string | null;
  readonly pid: number | null;
  readonly restarts: number;
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const SERVICES = ['postgres', 'api', 'orchestrator', 'worker', 'proxy'] as const;
export type Service = (typeof SERVICES)[number];

/** Those with a band, which is as large as in the guide. */
const BANDED = ['api', 'orchestrator', 'worker'] as const;
const BAND_SIZE = 100;
const BANDS_SIZE = BANDED.length * BAND_SIZE;
/** Where no service of this machine's other users is likely, and the kernel takes no ports for connections. */
const LOWEST_PORT = 15_000;
const BLOCKS = 50;

/** What a user has in `.env.local`; no event may cost a byte of it. */
export const USER_LINES = '# mine, and to stay mine\nMY_OWN="kept"\n';

/** Far more than any command may take, on the slowest machine. */
const COMMAND_MS = 180_000;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const ignore = (): void => undefined;

/** The folder that holds `package.json`, wherever in `out` this file was bundled to. */
export const repository = ((): string => {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
})();

/**
 * The demo in a folder of its own, run by the command line from a copy of `dist`, so that builds meanwhile do not
 * disturb it. All that is started here carries the lab's own state folder in its environment, and by that it is found
 * and ended again, whatever became of its parents.
 */
export class Lab {
  readonly home: string;
  readonly folder: string;
  readonly envFile: string;
  /** What `status --json --watch` said last, and when each service with its present process was healthy first. */
  rows: readonly Row[] = [];
  private readonly healthyAt = new Map<string, number>();
  private readonly clients = new Set<number>();
  private watcher: ChildProcess | undefined;
  /** The pid of a VS Code whose window is open on the folder; what it runs apart from our services is its own affair. */
  editor: number | undefined;
  private readonly onExit = (): void => this.endAll();

  private constructor(
    readonly root: string,
    private readonly postgresPort: number,
    /** The proxy's first choice. Other stacks on this machine all want the usual one. */
    readonly proxyPort: number,
    /** The first of the bands' ports. In the guide's bands somebody else may take a port while its service is stopped. */
    private readonly firstPort: number,
    parent = root,
  ) {
    this.home = join(root, 'home');
    this.folder = join(parent, 'helix-demo');
    this.envFile = join(this.folder, '.env.local');
    // A neighbour goes with the lab whose state folder it shares.
    if (parent !== root) return;
    process.once('exit', this.onExit);
    // A second Ctrl-C must not end us while that is under way.
    for (const signal of SIGNALS) process.on(signal, ignore);
  }

  static async make(): Promise<Lab> {
    const root = await mkdtemp(join(tmpdir(), 'helix-chaos-'));
    const [postgres, proxy] = [await getPort({ host: '127.0.0.1' }), await getPort({ host: '127.0.0.1' })];
    const lab = new Lab(root, postgres, proxy, LOWEST_PORT + BANDS_SIZE * Math.floor(Math.random() * BLOCKS));
    // As root PostgreSQL runs as another user, who has to get at its data.
    await chmod(root, 0o755);
    await mkdir(lab.home);
    await cp(join(repository, 'dist'), join(root, 'dist'), { recursive: true });
    await symlink(join(repository, 'node_modules'), join(root, 'node_modules'));
    await lab.prepare();
    return lab;
  }

  /** Another workspace of the same user: the same state folder, the same PostgreSQL port. */
  async neighbour(name: string): Promise<Lab> {
    const lab = new Lab(this.root, this.postgresPort, this.proxyPort, this.firstPort, join(this.root, name));
    await lab.prepare();
    return lab;
  }

  private async prepare(): Promise<void> {
    await createDemoWorkspace(join(this.root, 'dist/demo'), dirname(this.folder));
    const variables = { POSTGRES_PORT: this.postgresPort, HELIX_DEMO_STEP_MS: 100, HELIX_DEMO_LEASE_MS: 2_000 };
    for (const [name, value] of Object.entries(variables)) await setDemoVariable(this.folder, name, String(value));
    const config = join(this.folder, 'helix.config.json');
    const text = await readFile(config, 'utf8');
    const bands = BANDED.map((id, index) => {
      const from = this.firstPort + index * BAND_SIZE;
      return [['services', id, 'port'], { from, to: from + BAND_SIZE - 1 }] as const;
    });
    const changes = [...bands, [['proxy'], { enabled: true, port: this.proxyPort }] as const];
    const changed = changes.reduce((now, [path, value]) => applyEdits(now, modify(now, [...path], value, {})), text);
    await writeFile(config, changed);
    await writeFile(this.envFile, USER_LINES);
  }

  /** Whether it lies in a band of this lab's; what our processes hold there are leases. */
  isBandPort(port: number): boolean {
    return port >= this.firstPort && port < this.firstPort + BANDS_SIZE;
  }

  /** The folder in which the stack keeps its state. */
  get dir(): string {
    const name = readdirSync(this.home).find(one => /^[0-9a-f]{12}$/.test(one));
    if (!name) throw new Error(`${this.home} has no stack yet`);
    return join(this.home, name);
  }

  row(id: Service): Row | undefined {
    return this.rows.find(row => row.id === id);
  }

  /** From its process's start until it was healthy, milliseconds; undefined for one that was not restarted since. */
  ownStart(id: Service, since: number): number | undefined {
    const { pid } = this.row(id) ?? {};
    const found = pid ? processOf(pid) : undefined;
    const healthyAt = this.healthyAt.get(`${id} ${pid}`);
    if (!found || healthyAt === undefined) return undefined;
    const began = startTime(found);
    return began < since ? undefined : Math.max(0, healthyAt - began);
  }

  // Programs

  client(...args: readonly string[]): ChildProcess {
    return this.spawn(args, {});
  }

  /** A command that ends itself at this point, or whose supervisors do. */
  async faulty(point: FaultPoint, ...args: readonly string[]): Promise<Finished> {
    return finished(this.spawn(args, { [FAULT_VARIABLE]: point }));
  }

  private spawn(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn(process.execPath, [join(this.root, 'dist/cli.cjs'), ...args], {
      cwd: this.folder,
      env: { ...process.env, ...env, HELIX_PORTS_HOME: this.home },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { pid } = child;
    if (pid !== undefined) {
      this.clients.add(pid);
      child.once('exit', () => this.clients.delete(pid));
    }
    return child;
  }

  /** One that does not end is ended, which shows in its exit code. */
  async cli(...args: readonly string[]): Promise<Finished> {
    const child = this.client(...args);
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS);
    const result = await finished(child).finally(() => clearTimeout(timer));
    if (child.signalCode !== 'SIGKILL') return result;
    return { ...result, stderr: `${result.stderr}\n${args.join(' ')} did not end within ${COMMAND_MS / 1000} s` };
  }

  /** @throws when it does not answer 0 */
  async must(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli(...args);
    if (code !== 0) throw new Error(`helix-ports ${args.join(' ')} exited with ${code}: ${stderr.trim()}`);
    return stdout;
  }

  /** What takes the place of an editor here: it brings back what is killed, and publishes. */
  startKeeper(): void {
    const child = this.client('keep');
    child.stdout?.resume();
    child.stderr?.resume();
  }

  watch(): void {
    const watcher = this.client('status', '--json', '--watch');
    this.watcher = watcher;
    watcher.stderr?.resume();
    createInterface({ input: watcher.stdout! }).on('line', line => {
      this.rows = (JSON.parse(line) as { services: Row[] }).services;
      for (const { id, pid, state } of this.rows) {
        const key = `${id} ${pid}`;
        if (state === 'healthy' && !this.healthyAt.has(key)) this.healthyAt.set(key, Date.now());
      }
    });
  }

  get isWatching(): boolean {
    return this.watcher?.exitCode === null && this.watcher.signalCode === null;
  }

  // Processes

  /** All that was started here and by what was started here, except for this very process. */
  processes(): Process[] {
    const mark = `HELIX_PORTS_HOME=${this.home}`;
    const all = processes();
    const editors = this.editorsOwn(all);
    return all.filter(
      one =>
        one.pid !== process.pid &&
        !editors.has(one.pid) &&
        // PostgreSQL writes over its environment and its command line, but stays in its folder.
        (one.environment.includes(mark) || one.cwd.startsWith(`${this.root}/`) || one.command.includes(this.home)),
    );
  }

  private editorsOwn(all: readonly Process[]): ReadonlySet<number> {
    if (this.editor === undefined) return new Set();
    const supervisors = all.filter(isSupervisor).map(one => one.pid);
    const ours = below(all, supervisors);
    return new Set([...below(all, [this.editor])].filter(pid => !ours.has(pid)));
  }

  isClient(pid: number): boolean {
    return this.clients.has(pid);
  }

  supervisors(id: Service, all = this.processes()): Process[] {
    return all.filter(one => isSupervisor(one) && one.command.includes(id));
  }

  keepers(all = this.processes()): Process[] {
    return all.filter(one => one.command[1]?.endsWith('cli.cjs') && one.command[2] === 'keep');
  }

  /** The processes with the service's run marker. */
  marked(id: Service, all = this.processes()): Process[] {
    return all.filter(one => one.environment.some(entry => /^HELIX_PORTS_RUN=.*:(.*)$/.exec(entry)?.[1] === id));
  }

  /** The service's own first process. */
  leader(id: Service): Process | undefined {
    const all = this.processes();
    const supervisors = this.supervisors(id, all).map(one => one.pid);
    return this.marked(id, all).find(one => supervisors.includes(one.ppid));
  }

  postmaster(): Process | undefined {
    return this.processes().find(one => /\/postgres$/.test(one.command[0] ?? '') && one.command[1] === '-D');
  }

  /** kill -9, and until they are gone. */
  async kill(...targets: readonly (Process | undefined)[]): Promise<void> {
    const present = targets.filter(one => one !== undefined);
    for (const one of present) this.signal(one, 'SIGKILL');
    while (present.some(one => processOf(one.pid)?.started === one.started)) await sleep(2);
  }

  signal(target: Process, signal: NodeJS.Signals): void {
    if (processOf(target.pid)?.started !== target.started) return;
    try {
      process.kill(target.pid, signal);
    } catch {
      // Gone between the look and the signal.
    }
  }

  async dispose(): Promise<void> {
    this.watcher?.kill('SIGKILL');
    await this.cli('stop').catch(() => undefined);
    process.removeListener('exit', this.onExit);
    for (const signal of SIGNALS) process.removeListener(signal, ignore);
    this.endAll();
  }

  /** Ends and removes everything at once, since an `exit` handler cannot wait. */
  private endAll(): void {
    for (let left = this.processes(), tries = 0; left.length > 0 && tries < 200; left = this.processes(), tries++) {
      for (const one of left) this.signal(one, 'SIGKILL');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** An editor names it by the way through its folder of extensions. */
const isSupervisor = ({ command }: Process): boolean => /\/dist\/supervisor\.cjs$/.test(command[1] ?? '');

export async function finished(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
