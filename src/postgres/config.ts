import { isAbsolute } from 'node:path';
import { UserError } from '../base/errors.ts';
import { isPort } from '../model/port.ts';
import type { Engine, EnginePreference } from './engines.ts';
import type { Credentials } from './probe.ts';

/** What is known of the wanted server. The password comes apart from the rest, and never into a log. */
export interface PostgresConfig extends Credentials {
  /** Absolute; holds one data folder per major version. */
  readonly dataRoot: string;
  readonly preference: EnginePreference;
  /** Folders that may hold npm's PostgreSQL. */
  readonly embeddedRoots: readonly string[];
  /** SQL for a database that holds no table yet; it need not exist. */
  readonly initSql?: string;
  /** Runs in a container of this image, rather than on this machine's own programs. `program`: the engine, if found. */
  readonly docker?: { readonly image: string; readonly program?: string };
  /** Those that were found already, the preferred first. */
  readonly engines?: readonly Engine[];
}

/** The environment that src/postgres.ts is started with; `readPostgresConfig` is its other end. */
export function postgresEnvironment(config: PostgresConfig): { HELIX_POSTGRES: string; POSTGRES_PASSWORD: string } {
  const { password, ...rest } = config;
  return { HELIX_POSTGRES: JSON.stringify(rest), POSTGRES_PASSWORD: password };
}

export function readPostgresConfig(env: NodeJS.ProcessEnv): PostgresConfig {
  const raw = parse(env['HELIX_POSTGRES']);
  const { host, port, user, database, dataRoot, preference = 'auto', embeddedRoots = [], engines } = raw;
  if (!isText(host)) throw invalid('host');
  if (!isPort(port)) throw invalid('port');
  if (!isText(user)) throw invalid('user');
  if (!isText(database)) throw invalid('database');
  if (!isText(dataRoot) || !isAbsolute(dataRoot)) throw invalid('dataRoot');
  if (preference !== 'auto' && preference !== 'system' && preference !== 'embedded') throw invalid('preference');
  if (!Array.isArray(embeddedRoots) || !embeddedRoots.every(isText)) throw invalid('embeddedRoots');
  const { initSql } = raw;
  if (initSql !== undefined && !isText(initSql)) throw invalid('initSql');
  if (engines !== undefined && !(Array.isArray(engines) && engines.every(isEngine))) throw invalid('engines');
  const { docker } = raw;
  if (docker !== undefined && !isDocker(docker)) throw invalid('docker');
  const password = env['POSTGRES_PASSWORD'];
  if (!password) throw new UserError('POSTGRES_PASSWORD is empty. Set it in .env.');
  const optional = {
    ...(initSql === undefined ? {} : { initSql }),
    ...(engines ? { engines } : {}),
    ...(docker ? { docker } : {}),
  };
  return { host, port, user, password, database, dataRoot, preference, embeddedRoots, ...optional };
}

function parse(text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new UserError('HELIX_POSTGRES must be a JSON object with host, port, user, database and dataRoot.');
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '' && !value.includes('\0');

function isEngine(value: unknown): value is Engine {
  const { kind, binDir, version, major, stamp } = (value ?? {}) as Partial<Record<keyof Engine, unknown>>;
  if (kind !== 'system' && kind !== 'embedded') return false;
  return isText(binDir) && isAbsolute(binDir) && isText(version) && Number.isInteger(major) && isText(stamp);
}

function isDocker(value: unknown): value is NonNullable<PostgresConfig['docker']> {
  const { image, program } = (value ?? {}) as { image?: unknown; program?: unknown };
  return isText(image) && (program === undefined || (isText(program) && isAbsolute(program)));
}

const invalid = (name: string): UserError => new UserError(`HELIX_POSTGRES: "${name}" is missing or not valid.`);

/** Where a server of ours listens for this configured host, or undefined if that is another machine. */
export function loopbackOf(host: string): string | undefined {
  if (host === 'localhost' || host === '') return '127.0.0.1';
  if (host === '::1' || host === '[::1]') return '::1';
  return /^127\.\d+\.\d+\.\d+$/.test(host) ? host : undefined;
}
