import { delay } from '../base/async.ts';
import { chooseEngine } from './cluster.ts';
import { type PostgresConfig, loopbackOf } from './config.ts';
import { type EmbeddedPackage, type Engine, embeddedPackage, findEngines } from './engines.ts';
import { type CredentialsResult, probePostgres, tryCredentials } from './probe.ts';

export type PostgresResolution =
  /** A server answers with the configured credentials: it is used, and never stopped by us. */
  | { readonly kind: 'reuse'; readonly version: string }
  /** Nothing is there; `src/postgres.ts` can start this engine. */
  | { readonly kind: 'start'; readonly engine: Engine }
  /** Nothing is there and nothing to start: the engine can be downloaded, which needs asking. */
  | { readonly kind: 'fetch'; readonly package: EmbeddedPackage }
  /** The port is taken by what cannot be used. `detail` is a message for the user with the next step. */
  | { readonly kind: 'occupied'; readonly by: 'postgres' | 'foreign'; readonly detail: string }
  /** Nothing is there and nothing can be started or fetched here: another machine, or no engine for this one. */
  | { readonly kind: 'unavailable'; readonly detail: string };

export interface ResolveOptions {
  readonly signal?: AbortSignal;
  /** Who holds the port, in words such as `nginx (pid 812)`; undefined when it cannot be seen. */
  readonly describeHolder?: (port: number) => Promise<string | undefined>;
  /** How often a server that is starting up is asked again, 200 ms apart. */
  readonly startingRetries?: number;
}

/** Which PostgreSQL this workspace gets. Looks only: nothing is started, fetched or written. */
export async function resolvePostgres(
  config: PostgresConfig,
  options: ResolveOptions = {},
): Promise<PostgresResolution> {
  const { host, port } = config;
  switch (await probePostgres({ host, port, signal: options.signal })) {
    case 'closed':
      return resolveFree(config);
    case 'foreign':
      return {
        kind: 'occupied',
        by: 'foreign',
        detail: await occupied(config, options, 'a program that is not PostgreSQL', 'program'),
      };
    case 'postgres':
      return resolveServer(config, options);
  }
}

async function resolveFree(config: PostgresConfig): Promise<PostgresResolution> {
  if (loopbackOf(config.host) === undefined) {
    return {
      kind: 'unavailable',
      detail: `No PostgreSQL answers at ${config.host}:${config.port}, and it cannot be started from here. Start it there, or set POSTGRES_HOST=localhost in .env to get one of your own.`,
    };
  }
  const engines = await findEngines(config);
  if (engines.length > 0) return { kind: 'start', engine: (await chooseEngine(engines, config.dataRoot)).engine };
  const fetchable = embeddedPackage();
  if (fetchable && config.preference !== 'system') return { kind: 'fetch', package: fetchable };
  return {
    kind: 'unavailable',
    detail: 'PostgreSQL is not installed. Install PostgreSQL 13 or newer with your system’s package manager.',
  };
}

async function resolveServer(config: PostgresConfig, options: ResolveOptions): Promise<PostgresResolution> {
  const result = await askUntilStarted(config, options);
  if (result.kind === 'ok') return { kind: 'reuse', version: result.version };
  const detail = await occupied(config, options, `a PostgreSQL server that ${refusal(config, result)}`, 'server');
  return { kind: 'occupied', by: 'postgres', detail };
}

async function askUntilStarted(config: PostgresConfig, options: ResolveOptions): Promise<CredentialsResult> {
  for (let left = options.startingRetries ?? 50; ; left -= 1) {
    const result = await tryCredentials(config);
    if (result.kind !== 'starting' || left <= 0) return result;
    await delay(200, options.signal);
  }
}

function refusal({ user, database }: PostgresConfig, result: Exclude<CredentialsResult, { kind: 'ok' }>): string {
  switch (result.kind) {
    case 'wrong-password':
      return `does not accept the role "${user}" with the password in POSTGRES_PASSWORD`;
    case 'no-role':
      return `has no role "${user}"`;
    case 'no-database':
      return `has no database "${database}"`;
    case 'starting':
      return 'has been starting up for a long time';
    case 'error':
      return `refuses the connection (${result.message})`;
  }
}

async function occupied(
  { host, port }: PostgresConfig,
  options: ResolveOptions,
  what: string,
  noun: string,
): Promise<string> {
  const holder = await options.describeHolder?.(port).catch(() => undefined);
  const by = holder === undefined ? what : `${what}: ${holder}`;
  return `${host}:${port} is taken by ${by}. Set POSTGRES_PORT in .env to a free port, or stop that ${noun}.`;
}
