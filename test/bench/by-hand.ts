import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';
import { LOOPBACK } from '../../src/model/defaults.ts';
import { type Cluster, spawnAs } from '../../src/postgres/cluster.ts';
import { programIn } from '../../src/postgres/engines.ts';
import { tryCredentials } from '../../src/postgres/probe.ts';
import { check } from '../../src/run/health.ts';
import type { Demo } from './demo-stack.ts';
import { endChild, type Scope } from './scope.ts';

/** When each process of the demo was ready, in milliseconds from the start of the first. */
export type ReadyTimes = Readonly<Record<'postgres' | 'api' | 'orchestrator' | 'worker', number>>;

const LOOK_MS = 10;
const LIMIT_MS = 60_000;

/**
 * The demo's four processes as somebody in a shell who knows the ports would start them: PostgreSQL, and as soon as it
 * takes logins the other three at once. Answers when each was ready, after having ended them all.
 */
export async function startByHand(outer: Scope, demo: Demo, cluster: Cluster): Promise<ReadyTimes> {
  return outer.nested(async scope => {
    const began = performance.now();
    const stopPostgres = await startPostgres(scope, demo, cluster);
    const postgres = performance.now() - began;
    const services = await Promise.all(SERVICES.map(name => startService(scope, demo, name)));
    const [api, orchestrator, worker] = services.map(one => one.readyAt - began);
    await Promise.all(services.map(one => one.stop()));
    await stopPostgres();
    return { postgres, api: api!, orchestrator: orchestrator!, worker: worker! };
  });
}

/** How long each takes to be ready when nothing else starts meanwhile. */
export async function startEachAlone(outer: Scope, demo: Demo, cluster: Cluster): Promise<ReadyTimes> {
  return outer.nested(async scope => {
    let began = performance.now();
    const stopPostgres = await startPostgres(scope, demo, cluster);
    const times = { postgres: performance.now() - began, api: 0, orchestrator: 0, worker: 0 };
    for (const name of SERVICES) {
      began = performance.now();
      const { readyAt, stop } = await startService(scope, demo, name);
      times[name] = readyAt - began;
      await stop();
    }
    await stopPostgres();
    return times;
  });
}

const SERVICES = ['api', 'orchestrator', 'worker'] as const;

interface Started {
  readonly readyAt: number;
  readonly stop: () => Promise<void>;
}

/** Answers how it is stopped, once it takes a login. */
async function startPostgres(scope: Scope, { plan, postgresPort }: Demo, cluster: Cluster): Promise<Started['stop']> {
  const args = ['-D', cluster.dataDir, '-p', String(postgresPort)];
  args.push('-c', `listen_addresses=${LOOPBACK}`, '-c', 'unix_socket_directories=');
  const command = programIn(cluster.engine.binDir, 'postgres');
  const options = { ...spawnAs(cluster.identity), cwd: cluster.dataDir, stdio: 'ignore' } as const;
  const child = scope.spawn(command, args, options, 'SIGINT');
  const credentials = { ...plan.postgres, host: LOOPBACK, port: postgresPort };
  await until(child, async () => (await tryCredentials(credentials)).kind === 'ok');
  return () => endChild(child, 'SIGINT');
}

async function startService(scope: Scope, demo: Demo, name: (typeof SERVICES)[number]): Promise<Started> {
  const port = await getPort({ host: LOOPBACK });
  const env = { POSTGRES_PORT: String(demo.postgresPort), API_HOST: LOOPBACK, API_PORT: String(port) };
  const options = { cwd: demo.folder, env: { ...process.env, ...env } };
  const child = scope.spawn(process.execPath, [join('services', `${name}.cjs`)], options, 'SIGINT');
  let said = '';
  child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until(child, () => (name === 'api' ? isHealthy(port) : Promise.resolve(said.includes('polling'))));
  return { readyAt: performance.now(), stop: () => endChild(child, 'SIGINT') };
}

async function isHealthy(port: number): Promise<boolean> {
  const readiness = { kind: 'http', path: '/api/v1/health', status: 200, expect: { status: 'healthy' } } as const;
  return (await check(readiness, { host: LOOPBACK, port, timeoutMs: 2_000 })).ok;
}

async function until(child: ChildProcess, condition: () => Promise<boolean>): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!(await condition())) {
    if (child.exitCode !== null || performance.now() > limit) {
      throw new Error(`${child.spawnargs.join(' ')} did not become ready (exit code ${child.exitCode}).`);
    }
    await sleep(LOOK_MS);
  }
}
