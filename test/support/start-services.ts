import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import getPort from 'get-port';
import { describeUse } from '../../src/ports/allocate.ts';
import { resolvePostgres } from '../../src/postgres/resolve.ts';
import { POSTGRES_PORT } from '../../src/model/defaults.ts';
import { createDemoWorkspace, setDemoVariable } from '../../src/session/demo-workspace.ts';
import { loadPlan } from '../../src/session/load-plan.ts';
import { stateHome } from '../../src/run/runtime-dir.ts';
import { repoRoot } from './paths.ts';

export interface HealthyService {
  readonly name: string;
  /** Its URL, or its port where it has no URL, or `-` where it opens no port. */
  readonly address: string;
}

interface Status {
  readonly services: readonly {
    readonly id: string;
    readonly state: string;
    readonly port: number | null;
    readonly url: string | null;
  }[];
}

const cli = join(repoRoot, 'dist/cli.cjs');

/** The demo workspace in the repository's scratch folder; kept between runs, with what the user changes in it. */
export async function prepareDemoWorkspace(): Promise<string> {
  const parent = join(repoRoot, '.vscode-test');
  await mkdir(parent, { recursive: true });
  const folder = await createDemoWorkspace(join(repoRoot, 'dist/demo'), parent);
  await avoidOccupiedPostgresPort(folder);
  return folder;
}

// The extension leaves this choice to its user, since a port in .env is the user's own. Here the demo is ours.
async function avoidOccupiedPostgresPort(folder: string): Promise<void> {
  const plan = await loadPlan(folder);
  const service = plan?.services.find(one => one.id === 'postgres');
  if (!plan || service?.port.kind !== 'fixed') return;
  const { engine, ...credentials } = plan.postgres;
  const { port } = service.port;
  const resolution = await resolvePostgres(
    {
      ...credentials,
      port,
      dataRoot: join(stateHome(), 'postgres', String(port)),
      preference: engine === 'system' || engine === 'embedded' ? engine : 'auto',
      embeddedRoots: [repoRoot],
    },
    { describeHolder: async taken => (await describeUse([taken])).get(taken) },
  );
  const where = `POSTGRES_PORT in ${join(folder, '.env')}`;
  if (resolution.kind !== 'occupied') {
    if (port !== POSTGRES_PORT)
      console.log(`The demo's PostgreSQL uses ${port} rather than ${POSTGRES_PORT} (${where}).`);
    return;
  }
  const free = await getPort({ host: '127.0.0.1' });
  await setDemoVariable(folder, 'POSTGRES_PORT', String(free));
  console.log(`${resolution.detail}\nThe demo's PostgreSQL uses ${free} rather than ${port} (${where}).`);
}

/** Whether anything of a workspace runs already, started by another window or the command line. */
export async function isRunning(folder: string): Promise<boolean> {
  const { stdout } = await execa(process.execPath, [cli, 'status', '--json', '--folder', folder]);
  return (JSON.parse(stdout) as Status).services.some(service => service.state !== 'stopped');
}

/**
 * Calls `onHealthy` once for each service of a workspace, as it becomes healthy, and ends when all are.
 * Rejects when one has failed for good.
 */
export async function watchServices(folder: string, onHealthy: (service: HealthyService) => void): Promise<void> {
  const args = [cli, 'status', '--json', '--watch', '--folder', folder];
  const watcher = execa(process.execPath, args, { reject: false, stdin: 'ignore' });
  const told = new Set<string>();
  try {
    for await (const line of createInterface({ input: watcher.stdout })) {
      const { services } = JSON.parse(line) as Status;
      for (const service of services) {
        if (service.state === 'failed') throw new Error(await failureOf(folder, service.id));
        if (service.state !== 'healthy' || told.has(service.id)) continue;
        told.add(service.id);
        onHealthy({ name: service.id, address: service.url ?? String(service.port ?? '-') });
      }
      if (services.length > 0 && services.every(service => service.state === 'healthy')) return;
    }
  } finally {
    watcher.kill();
  }
  throw new Error(`The services of ${folder} cannot be watched: ${(await watcher).stderr}`);
}

async function failureOf(folder: string, id: string): Promise<string> {
  const logs = await execa(process.execPath, [cli, 'logs', id, '--lines', '20', '--folder', folder], { reject: false });
  return `${id} failed. Its last lines:\n${logs.stdout || logs.stderr}`;
}

/** Stops what runs in a workspace, in order, before the VS Code around it is ended. */
export async function stopServices(folder: string): Promise<void> {
  await execa(process.execPath, [cli, 'stop', '--folder', folder], { stdin: 'ignore' });
}
