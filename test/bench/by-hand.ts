import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import getPort from 'get-port';
import { LOOPBACK } from '../../src/model/defaults.ts';
import type { PostgresPlan } from '../../src/model/plan.ts';
import type { Cluster } from '../../src/postgres/cluster.ts';
import { programIn } from '../../src/postgres/engines.ts';
import type { Identity } from '../../src/postgres/identity.ts';
import { tryCredentials } from '../../src/postgres/probe.ts';
import { check } from '../../src/run/health.ts';

/** When each process of the demo was ready, in milliseconds from the start of the first. */
export type ReadyTimes = Readonly<Record<'postgres' | 'api' | 'orchestrator' | 'worker', number>>;

/** What somebody types. */
export interface Typed {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Beside the shell's own. */
  readonly env: Readonly<Record<string, string>>;
  /** Whom it runs as, where that is not us. */
  readonly identity?: Identity | undefined;
}

export interface TypedProcess {
  said(): Promise<string>;
  hasEnded(): boolean;
  /** Ctrl-C. */
  end(): Promise<void>;
}

/** Where somebody types. */
export type Shell = (typed: Typed) => Promise<TypedProcess>;

/** Plain data: it also goes into an extension host. */
export interface HandDemo {
  readonly folder: string;
  readonly postgresPort: number;
  readonly postgres: PostgresPlan;
  readonly cluster: Cluster;
}

const LOOK_MS = 10;
const LIMIT_MS = 60_000;
const SERVICES = ['api', 'orchestrator', 'worker'] as const;

/**
 * The demo's four processes as somebody in a shell who knows the ports would start them: PostgreSQL, and as soon as it
 * takes logins the other three at once. Answers when each was ready, after having ended them all.
 */
export async function startByHand(shell: Shell, demo: HandDemo): Promise<ReadyTimes> {
  const running: TypedProcess[] = [];
  const noting = noted(shell, running);
  try {
    const began = performance.now();
    await startPostgres(noting, demo);
    const postgres = performance.now() - began;
    const readyAt = await Promise.all(SERVICES.map(name => startService(noting, demo, name)));
    const [api, orchestrator, worker] = readyAt.map(at => at - began);
    return { postgres, api: api!, orchestrator: orchestrator!, worker: worker! };
  } finally {
    const [postgres, ...services] = running;
    await Promise.all(services.map(one => one.end()));
    await postgres?.end();
  }
}

/** How long each takes to be ready when nothing else starts meanwhile. */
export async function startEachAlone(shell: Shell, demo: HandDemo): Promise<ReadyTimes> {
  const running: TypedProcess[] = [];
  const noting = noted(shell, running);
  const times = { postgres: 0, api: 0, orchestrator: 0, worker: 0 };
  try {
    let began = performance.now();
    await startPostgres(noting, demo);
    times.postgres = performance.now() - began;
    for (const name of SERVICES) {
      began = performance.now();
      times[name] = (await startService(noting, demo, name)) - began;
      await running.pop()?.end();
    }
  } finally {
    for (const one of running.reverse()) await one.end();
  }
  return times;
}

const noted =
  (shell: Shell, running: TypedProcess[]): Shell =>
  async typed => {
    const one = await shell(typed);
    running.push(one);
    return one;
  };

/** Settles once it takes a login. */
async function startPostgres(shell: Shell, { cluster, postgres, postgresPort }: HandDemo): Promise<void> {
  const { dataDir, engine, identity } = cluster;
  const args = ['-D', dataDir, '-p', String(postgresPort)];
  args.push('-c', `listen_addresses=${LOOPBACK}`, '-c', 'unix_socket_directories=');
  const file = programIn(engine.binDir, 'postgres');
  const server = await shell({ name: 'PostgreSQL', file, args, cwd: dataDir, env: { LC_ALL: 'C' }, identity });
  const credentials = { ...postgres, host: LOOPBACK, port: postgresPort };
  await until(server, 'PostgreSQL', async () => (await tryCredentials(credentials)).kind === 'ok');
}

/** Answers when it was ready, on the clock of `performance.now()`. */
async function startService(shell: Shell, demo: HandDemo, name: (typeof SERVICES)[number]): Promise<number> {
  const port = await getPort({ host: LOOPBACK });
  const env = { POSTGRES_PORT: String(demo.postgresPort), API_HOST: LOOPBACK, API_PORT: String(port) };
  const args = [join('services', `${name}.cjs`)];
  const service = await shell({ name, file: process.execPath, args, cwd: demo.folder, env });
  await until(service, name, async () =>
    name === 'api' ? isHealthy(port) : (await service.said()).includes('polling'),
  );
  return performance.now();
}

async function isHealthy(port: number): Promise<boolean> {
  const readiness = { kind: 'http', path: '/api/v1/health', status: 200, expect: { status: 'healthy' } } as const;
  return (await check(readiness, { host: LOOPBACK, port, timeoutMs: 2_000 })).ok;
}

async function until(process: TypedProcess, name: string, condition: () => Promise<boolean>): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!(await condition())) {
    if (process.hasEnded() || performance.now() > limit) {
      throw new Error(`${name} did not become ready: ${await process.said()}`);
    }
    await sleep(LOOK_MS);
  }
}
