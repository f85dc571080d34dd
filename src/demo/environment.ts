import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'dotenv';
import { codeOf } from '../base/errors.ts';
import { BANDS, LOOPBACK, POSTGRES_DEFAULTS, POSTGRES_PORT } from '../model/defaults.ts';
import { isPort } from '../model/port.ts';
import type { Credentials } from '../postgres/probe.ts';

export type LogLevel = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR';
export const LOG_LEVELS: readonly LogLevel[] = ['DEBUG', 'INFO', 'WARNING', 'ERROR'];

/** What the three services read, as HELIX v2.0 does. */
export interface Environment {
  readonly apiHost: string;
  readonly apiPort: number;
  readonly postgres: Credentials;
  /** Compared as a whole: an origin holds no pattern. */
  readonly allowedOrigins: readonly string[];
  readonly logLevel: LogLevel;
  /** How often the orchestrator and the worker look for work that nobody announced. */
  readonly pollMs: number;
  /** After this time without a sign of life a worker's task is another's. */
  readonly leaseMs: number;
  /** For tests: how long each task takes at least, and how long the API waits before it listens. */
  readonly stepMs: number;
  readonly startDelayMs: number;
}

/** The process's variables win over `.env`, which wins over the defaults here: HELIX's `load_dotenv()` rule. */
export function loadEnvironment(cwd = process.cwd(), variables: NodeJS.ProcessEnv = process.env): Environment {
  const env: NodeJS.ProcessEnv = { ...readDotenv(join(cwd, '.env')), ...definedOnly(variables) };
  const text = (name: string, fallback: string): string => env[name]?.trim() || fallback;
  return {
    apiHost: text('API_HOST', LOOPBACK),
    apiPort: port('API_PORT', text('API_PORT', String(BANDS.api.from))),
    postgres: {
      host: text('POSTGRES_HOST', POSTGRES_DEFAULTS.host),
      port: port('POSTGRES_PORT', text('POSTGRES_PORT', String(POSTGRES_PORT))),
      user: text('POSTGRES_USER', POSTGRES_DEFAULTS.user),
      password: env['POSTGRES_PASSWORD'] ?? '',
      database: text('POSTGRES_DB', POSTGRES_DEFAULTS.database),
    },
    allowedOrigins: text('ALLOWED_ORIGINS', `http://localhost:3000,http://localhost:${BANDS.api.from}`)
      .split(',')
      .map(origin => origin.trim())
      .filter(Boolean),
    logLevel: LOG_LEVELS.find(level => level === text('LOG_LEVEL', 'INFO').toUpperCase()) ?? 'INFO',
    pollMs: milliseconds('HELIX_DEMO_POLL_MS', text('HELIX_DEMO_POLL_MS', '1000')),
    leaseMs: milliseconds('HELIX_DEMO_LEASE_MS', text('HELIX_DEMO_LEASE_MS', '15000')),
    stepMs: milliseconds('HELIX_DEMO_STEP_MS', text('HELIX_DEMO_STEP_MS', '0')),
    startDelayMs: milliseconds('HELIX_DEMO_START_DELAY_MS', text('HELIX_DEMO_START_DELAY_MS', '0')),
  };
}

function readDotenv(file: string): Record<string, string> {
  try {
    return parse(readFileSync(file));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {};
    throw error;
  }
}

const definedOnly = (variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined));

function port(name: string, value: string): number {
  if (!isPort(Number(value))) throw new Error(`${name}=${value} is not a port (1 to 65535)`);
  return Number(value);
}

function milliseconds(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number) || number < 0) throw new Error(`${name}=${value} is not a time in milliseconds`);
  return number;
}
