import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';
import { nullLogger } from '../../src/base/logger.ts';
import { PROXY_ID } from '../../src/model/front.ts';
import type { Plan } from '../../src/model/plan.ts';
import { type Port, toPort } from '../../src/model/port.ts';
import { type Cluster, prepareCluster } from '../../src/postgres/cluster.ts';
import { findEngines } from '../../src/postgres/engines.ts';
import { withoutCertificates } from '../../src/run/certificates.ts';
import { identify, isSame, type ProcessIdentity } from '../../src/run/processes.ts';
import { stateHome } from '../../src/run/runtime-dir.ts';
import { createDemoWorkspace, setDemoVariable } from '../../src/session/demo-workspace.ts';
import { loadPlan } from '../../src/session/load-plan.ts';
import { postgresService } from '../../src/session/postgres-service.ts';
import { type Launcher, Stack } from '../../src/session/stack.ts';
import { repoRoot } from '../support/paths.ts';
import type { HandDemo } from './by-hand.ts';
import type { ProductionBuild } from './production-build.ts';
import type { Scope } from './scope.ts';

const LEAVE_MS = 2_000;
const TERM_MS = 10_000;
const LOOK_MS = 50;

/** A copy of the demo HELIX in a folder of its own, with a PostgreSQL port and a cluster of its own. */
export interface Demo {
  readonly folder: string;
  readonly plan: Plan;
  readonly postgresPort: Port;
  readonly build: ProductionBuild;
}

/** `HELIX_PORTS_HOME` is to name a temporary folder by now. */
export async function makeDemo(scope: Scope, build: ProductionBuild): Promise<Demo> {
  const folder = await createDemoWorkspace(join(build.dist, 'demo'), await scope.folder('demo'));
  const postgresPort = toPort(await getPort({ host: '127.0.0.1' }));
  await setDemoVariable(folder, 'POSTGRES_PORT', String(postgresPort));
  const plan = await loadPlan(folder);
  if (!plan) throw new Error(`${folder} holds no HELIX.`);
  return { folder, plan, postgresPort, build };
}

export interface StateHome {
  /** Removed at the end as well. */
  readonly elsewhere: string[];
}

/** The same without the proxy in front, which nobody starts by hand. */
export const withoutProxy = (demo: Demo): Demo => ({
  ...demo,
  plan: {
    ...demo.plan,
    proxy: { ...demo.plan.proxy, enabled: false },
    services: demo.plan.services.filter(({ id }) => id !== PROXY_ID),
  },
});

/** Where state goes while this bench runs, here and in the processes that it starts. */
export async function ownStateHome(scope: Scope): Promise<StateHome> {
  const elsewhere: string[] = [];
  const before = process.env['HELIX_PORTS_HOME'];
  process.env['HELIX_PORTS_HOME'] = await scope.folder('home');
  scope.defer(async () => {
    if (before === undefined) delete process.env['HELIX_PORTS_HOME'];
    else process.env['HELIX_PORTS_HOME'] = before;
    for (const path of elsewhere) await rm(path, { recursive: true, force: true, maxRetries: 5 });
  });
  return { elsewhere };
}

/** The stack of a plan on the very engine that the command line has. It is stopped with the scope. */
export async function openDemoStack(scope: Scope, demo: Pick<Demo, 'plan' | 'build'>, keep: boolean): Promise<Stack> {
  const { dist, folder } = demo.build;
  const launcher: Launcher = {
    launch: (_service, args) => {
      const child = spawn(process.execPath, [join(dist, 'supervisor.cjs'), ...args], {
        detached: true,
        stdio: 'ignore',
        env: withoutCertificates(process.env),
      });
      child.unref();
      return Promise.resolve({ ended: once(child, 'exit') });
    },
  };
  const postgres = postgresService({
    program: join(dist, 'postgres.cjs'),
    embeddedRoots: [folder],
    mayFetch: () => Promise.resolve(false),
    onFetchOutput: () => undefined,
  });
  const stack = new Stack({
    plan: demo.plan,
    launcher,
    postgres,
    proxyProgram: join(dist, 'proxy.cjs'),
    logger: nullLogger,
    keep,
  });
  const processes = new SeenProcesses();
  stack.onChange(({ services }) => {
    for (const { pid, supervisorPid } of services) processes.see(pid, supervisorPid);
  });
  scope.defer(async () => {
    await stack.stop();
    stack.dispose();
    await processes.endLeft();
  });
  await stack.connect();
  return stack;
}

/** All processes that a stack has told of; known by more than the pid, which can be another's by the end. */
class SeenProcesses {
  private readonly seen = new Map<number, Promise<ProcessIdentity | undefined>>();

  see(...pids: readonly (number | undefined)[]): void {
    for (const pid of pids) if (pid !== undefined && !this.seen.has(pid)) this.seen.set(pid, identify(pid));
  }

  /** Ends what is there although everything was stopped, and says so: none should be. */
  async endLeft(): Promise<void> {
    for (const one of await Promise.all(this.seen.values())) {
      // A supervisor ends its connections a moment before itself.
      if (!one || (await hasEnded(one, LEAVE_MS))) continue;
      console.error(`pid ${one.pid} outlived the stop of its stack and is ended now`);
      process.kill(one.pid, 'SIGTERM');
      if (!(await hasEnded(one, TERM_MS))) process.kill(one.pid, 'SIGKILL');
    }
  }
}

async function hasEnded(one: ProcessIdentity, withinMs: number): Promise<boolean> {
  for (let waited = 0; waited < withinMs && (await isSame(one)); waited += LOOK_MS) await sleep(LOOK_MS);
  return !(await isSame(one));
}

/** What somebody needs who starts the demo by hand, once its stack was started for the first time. */
export async function handDemoOf(home: StateHome, demo: Demo): Promise<HandDemo> {
  const { folder, postgresPort, plan } = demo;
  return { folder, postgresPort, postgres: plan.postgres, cluster: await clusterOf(home, demo) };
}

async function clusterOf(home: StateHome, demo: Demo): Promise<Cluster> {
  const { engine: _engine, ...credentials } = demo.plan.postgres;
  const engines = await findEngines({ preference: 'auto', embeddedRoots: [repoRoot] });
  const dataRoot = join(stateHome(), 'postgres', String(demo.postgresPort));
  const cluster = await prepareCluster({ ...credentials, engines, dataRoot });
  // Root's data lies elsewhere where PostgreSQL's user cannot reach the temporary folder.
  if (dirname(cluster.dataDir) !== dataRoot) home.elsewhere.push(dirname(cluster.dataDir));
  return cluster;
}
