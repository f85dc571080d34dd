import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FAULT_VARIABLE, type FaultPoint } from '../../../src/base/fault.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { PROXY_ID, withFront } from '../../../src/model/front.ts';
import type { Plan, PlannedService, ProxyPlan } from '../../../src/model/plan.ts';
import { withReplicas } from '../../../src/model/replicas.ts';
import type { Band } from '../../../src/model/port.ts';
import { PROXY_PORT } from '../../../src/model/defaults.ts';
import { DEFAULT_RESTART } from '../../../src/model/restart-policy.ts';
import { type ServiceId, type ServiceSnapshot, type StateKind, toServiceId } from '../../../src/model/service.ts';
import { identify, isSame, type ProcessIdentity, processesWithEnvironment } from '../../../src/run/processes.ts';
import { recordedServices, RUN_MARKER, runMarker } from '../../../src/run/record.ts';
import { realWorkspace, stackDir } from '../../../src/run/runtime-dir.ts';
import type { Launched, PostgresProvider } from '../../../src/session/outcomes.ts';
import { Stack, type StackOptions } from '../../../src/session/stack.ts';
import { waitFor } from '../../support/wait.ts';
import { type Cleanup, freeBand, HEALTH } from '../run/harness.ts';

/** The built programs; another folder while somebody else is building. */
const dist =
  process.env['HELIX_TEST_DIST'] ??
  ((): string => {
    let folder = __dirname;
    while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
    return join(folder, 'dist');
  })();

/**
 * Healthy over HTTP, as soon as a file `go-ID` is there if it is told to WAIT. Writes into the file `story` what
 * happens to it: `start ID`, `ready ID`, `stop ID`.
 */
const SERVICE = `
  const fs = require('node:fs');
  const { ID, DIR, PORT, WAIT } = process.env;
  const tell = what => fs.appendFileSync(DIR + '/story', what + ' ' + ID + '\\n');
  process.on('SIGINT', () => { tell('stop'); process.exit(0); });
  tell('start');
  const server = require('node:http').createServer((request, response) => response.end('{"status":"ok"}'));
  const go = () => {
    if (WAIT && !fs.existsSync(DIR + '/go-' + ID)) return setTimeout(go, 10);
    server.listen(Number(PORT), '127.0.0.1', () => tell('ready'));
  };
  go();
`;

export interface ServiceOptions {
  readonly dependsOn?: readonly string[];
  /** Healthy only once the test says so. */
  readonly waits?: boolean;
  readonly changes?: Partial<PlannedService>;
}

const noPostgres: PostgresProvider = {
  prepare: () => Promise.reject(new Error('no PostgreSQL in this plan')),
  isReusable: () => Promise.resolve(false),
  otherClients: () => Promise.resolve(0),
};

/** One workspace with its state folder, and any number of clients. */
export class World {
  readonly supervisors: ProcessIdentity[] = [];
  readonly logged: string[] = [];
  private readonly stacks: Stack[] = [];
  private readonly planned: PlannedService[] = [];
  private readonly faults = new Map<ServiceId, FaultPoint[]>();

  private constructor(
    readonly workspace: string,
    readonly band: Band,
  ) {}

  static async make(cleanup: Cleanup): Promise<World> {
    const home = await cleanup.folder();
    const before = process.env['HELIX_PORTS_HOME'];
    process.env['HELIX_PORTS_HOME'] = home;
    cleanup.add(() => {
      if (before === undefined) delete process.env['HELIX_PORTS_HOME'];
      else process.env['HELIX_PORTS_HOME'] = before;
    });
    const workspace = join(home, 'workspace');
    await mkdir(workspace);
    const world = new World(realWorkspace(workspace), await freeBand(20));
    cleanup.add(() => world.end());
    return world;
  }

  get dir(): string {
    return stackDir(this.workspace);
  }

  readonly proxy = PROXY_ID;
  private fronted: Partial<ProxyPlan> | undefined;

  /** The plan gets a proxy, on a port of this test's own. */
  front(proxy: Partial<ProxyPlan> = {}): void {
    this.fronted = { enabled: true, port: this.band.to, drainMs: 120_000, ...proxy };
  }

  /** Adds a service to the plan; dependencies first. */
  service(name: string, options: ServiceOptions = {}): ServiceId {
    const id = toServiceId(name);
    this.planned.push({
      id,
      kind: 'process',
      label: name.toUpperCase(),
      workspace: this.workspace,
      command: [process.execPath, '-e', SERVICE],
      cwd: this.workspace,
      env: { ID: id, DIR: this.workspace, PORT: '${port}', ...(options.waits && { WAIT: '1' }) },
      host: '127.0.0.1',
      port: { kind: 'band', band: this.band },
      readiness: HEALTH,
      readyTimeoutMs: 60_000,
      stopTimeoutMs: 10_000,
      restart: { ...DEFAULT_RESTART, initialDelayMs: 10 },
      tty: false,
      dependsOn: (options.dependsOn ?? []).map(toServiceId),
      replicas: 1,
      openPath: '/',
      ...options.changes,
    });
    return id;
  }

  plan(): Plan {
    const plan: Plan = {
      workspace: this.workspace,
      source: 'helix.config.json',
      services: [...this.planned],
      environment: {},
      publish: { envFile: undefined, names: {}, settings: false, keepOnStop: false },
      postgres: { engine: 'auto', image: 'postgres:13', host: '', database: '', user: '', password: '' },
      proxy: {
        enabled: false,
        engine: 'embedded',
        port: PROXY_PORT,
        strict: false,
        drainMs: 1_000,
        origins: [],
        watch: [],
        nginxPath: '',
        ...this.fronted,
      },
    };
    return withReplicas(withFront(plan));
  }

  /** One more client. */
  stack(options: Partial<Pick<StackOptions, 'keep' | 'postgres' | 'isEditor'>> = {}): Stack {
    const log = (message: string): void => void this.logged.push(message);
    const logger: Logger = {
      debug: () => undefined,
      info: log,
      warn: log,
      error: (message, cause) => log(`${message} ${cause instanceof Error ? cause.stack : ''}`),
    };
    const stack = new Stack({
      plan: this.plan(),
      launcher: { launch: (service, args) => this.launch(service.id, options.isEditor ? [...args, '--editor'] : args) },
      postgres: options.postgres ?? noPostgres,
      proxyProgram: join(dist, 'proxy.cjs'),
      logger,
      keep: options.keep ?? false,
      isEditor: options.isEditor ?? false,
    });
    this.stacks.push(stack);
    return stack;
  }

  /** The supervisors of this service that are launched next end themselves there, one for each point. */
  breakDown(id: ServiceId, ...points: readonly FaultPoint[]): void {
    this.faults.set(id, [...points]);
  }

  private async launch(id: ServiceId, args: readonly string[]): Promise<Launched> {
    const point = this.faults.get(id)?.shift();
    const child = spawn(process.execPath, [join(dist, 'supervisor.cjs'), ...args], {
      detached: true,
      stdio: 'ignore',
      env: { ...process.env, ...(point && { [FAULT_VARIABLE]: point }) },
    });
    const ended = once(child, 'exit');
    const identity = await identify(child.pid!);
    if (identity) this.supervisors.push(identity);
    return { ended };
  }

  /** What happened to the services, in order. */
  async story(): Promise<string[]> {
    const text = await readFile(join(this.workspace, 'story'), 'utf8').catch(() => '');
    return text.split('\n').filter(Boolean);
  }

  /** A supervisor's process ends a moment after its clients have lost it. */
  async untilSupervisors(count: number): Promise<void> {
    const seen = (): Promise<ProcessIdentity[]> => this.liveSupervisors();
    await waitFor(`${count} supervisors`, async () => (await seen()).length === count, { interval: 10, seen });
  }

  private async liveSupervisors(): Promise<ProcessIdentity[]> {
    const alive = await Promise.all(this.supervisors.map(isSame));
    return this.supervisors.filter((_, index) => alive[index]);
  }

  /** All processes of a service, as far as they can be told by their environment. */
  processesOf(id: ServiceId): Promise<number[]> {
    return processesWithEnvironment(RUN_MARKER, runMarker(this.dir, id));
  }

  async record(id: ServiceId): Promise<Record<string, unknown>> {
    return JSON.parse(await readFile(join(this.dir, `${id}.json`), 'utf8')) as Record<string, unknown>;
  }

  private async end(): Promise<void> {
    for (const stack of this.stacks) stack.dispose();
    for (const supervisor of await this.liveSupervisors()) process.kill(supervisor.pid, 'SIGKILL');
    // The proxy and the replicas are in no plan of the test's own.
    for (const id of await recordedServices(this.dir)) for (const pid of await this.processesOf(id)) killGroup(pid);
    await this.untilSupervisors(0);
  }
}

export function snapshotOf(stack: Stack, id: ServiceId): ServiceSnapshot {
  const found = stack.snapshot.services.find(service => service.id === id);
  if (!found) throw new Error(`no ${id} in the snapshot`);
  return found;
}

export const pidsOf = (stack: Stack): Record<string, number | undefined> =>
  Object.fromEntries(stack.snapshot.services.map(service => [service.id, service.pid]));

export const statesOf = (stack: Stack): Record<string, StateKind> =>
  Object.fromEntries(stack.snapshot.services.map(service => [service.id, service.state.kind]));

export const until = (stack: Stack, what: string, probe: () => boolean | Promise<boolean>): Promise<unknown> =>
  waitFor(what, probe, { interval: 10, seen: () => stack.snapshot });

export const untilState = (stack: Stack, id: ServiceId, kind: StateKind): Promise<unknown> =>
  until(stack, `${id} ${kind}`, () => snapshotOf(stack, id).state.kind === kind);

/** The process, and with the first one of a service those that carry its marker no longer, such as nginx. */
function killGroup(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL');
    } catch {
      // It leads no group, or is gone with it.
    }
  }
}
