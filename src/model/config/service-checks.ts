import { hasPort } from './declared-services.ts';
import { LOOPBACK } from '../defaults.ts';
import { isHost } from '../host.ts';
import { canBeNumbered } from '../replicas.ts';
import type { ConfigPath, ConfigProblems } from './problem.ts';
import type { ServiceConfig } from './schema.ts';
import { isList, isObject } from './value.ts';

/** What one key of a service means for another. */
export function checkService(id: string, one: ServiceConfig, problems: ConfigProblems): void {
  checkKind(id, one, problems);
  checkReplicas(id, one, problems);
  checkApiHost(id, one, problems);
  checkReadiness(id, one, problems);
  checkRestart(id, one, problems);
}

function checkKind(id: string, one: ServiceConfig, problems: ConfigProblems): void {
  const at = ['services', id];
  const { port: wanted, command: given } = one;
  if (one.type === 'postgres') {
    if (given !== undefined)
      problems.atKey([...at, 'command'], `${id} is a PostgreSQL, whose command is not configured.`);
    if (wanted !== undefined && typeof wanted !== 'number') {
      problems.atValue(
        [...at, 'port'],
        `${id} is a PostgreSQL, whose port is fixed: give its number, or leave it out.`,
      );
    }
  } else if (given === undefined) {
    problems.atKey(at, `${id} needs a "command".`);
  } else if (isObject(given) && Object.keys(given).length === 0) {
    problems.atValue([...at, 'command'], `${id} needs a command for a platform, or a "default".`);
  } else if (commandFor(process.platform, given).length === 0) {
    problems.atValue([...at, 'command'], `${id} has no command for ${process.platform}. Add one, or a "default".`);
  }
  if (isObject(wanted) && wanted.from > wanted.to) {
    problems.atValue([...at, 'port'], `The band ${wanted.from}-${wanted.to} is empty: "from" is greater than "to".`);
  }
}

/** The program and its arguments on a platform; empty where it has none. */
export function commandFor(platform: string, command: NonNullable<ServiceConfig['command']>): readonly string[] {
  if (isList(command)) return command;
  const byPlatform: Readonly<Record<string, readonly string[] | undefined>> = command;
  return (Object.hasOwn(byPlatform, platform) ? byPlatform[platform] : undefined) ?? byPlatform['default'] ?? [];
}

function checkReplicas(id: string, one: ServiceConfig, problems: ConfigProblems): void {
  const { replicas = 1, port, type } = one;
  const at = ['services', id, 'replicas'];
  if (replicas === 1) return;
  if (type === 'postgres') {
    problems.atValue(at, `${id} is a PostgreSQL, of which there is only one in a workspace; leave "replicas" out.`);
  } else if (typeof port === 'number') {
    problems.atValue(at, `${replicas} replicas of ${id} cannot share the fixed port ${port}; give it a band.`);
  } else if (!canBeNumbered(id)) {
    problems.atValue(at, `${id} is too long an id for replicas, which get a number behind it. Shorten it.`);
  }
}

/** Loopback unless it says otherwise; a variable's value is not known yet. */
function checkApiHost(id: string, { env }: ServiceConfig, problems: ConfigProblems): void {
  const host = env?.['API_HOST']?.trim();
  if (id !== 'api' || !host || host.includes('$') || isHost(host)) return;
  problems.atValue(
    ['services', id, 'env', 'API_HOST'],
    `API_HOST is ${JSON.stringify(host)}, not a host's name or address, such as ${LOOPBACK}.`,
  );
}

const READINESS_KINDS = ['http', 'tcp', 'log', 'aliveSeconds'] as const;

function checkReadiness(id: string, one: ServiceConfig, problems: ConfigProblems): void {
  const { readiness: ready } = one;
  if (!ready) return;
  const at = ['services', id, 'readiness'];
  const kinds = READINESS_KINDS.filter(kind => ready[kind] !== undefined);
  if (one.type === 'postgres' && kinds.length > 0) {
    problems.atKey(
      [...at, kinds[0]!],
      `${id} is a PostgreSQL, which is asked in its own way; only "timeoutSeconds" counts here.`,
    );
  } else if (kinds.length > 1) {
    problems.atKey([...at, kinds[1]!], `Only one of ${kinds.join(', ')} can say when ${id} is ready.`);
  }
  for (const key of ['status', 'expect'] as const) {
    if (ready[key] !== undefined && ready.http === undefined)
      problems.atKey([...at, key], `"${key}" needs an "http" path to ask.`);
  }
  for (const key of ['http', 'tcp'] as const) {
    if (ready[key] !== undefined && !hasPort(id, one))
      problems.atKey([...at, key], `${id} has no port that could be asked; give it a "port".`);
  }
  if (ready.log !== undefined) checkPattern([...at, 'log'], ready.log, problems);
}

function checkPattern(at: ConfigPath, pattern: string, problems: ConfigProblems): void {
  try {
    new RegExp(pattern);
  } catch (error) {
    problems.atValue(at, `${error instanceof Error ? error.message : String(error)}.`);
  }
}

function checkRestart(id: string, { restart: policy }: ServiceConfig, problems: ConfigProblems): void {
  const { initialDelayMs, maxDelayMs } = policy ?? {};
  if (initialDelayMs !== undefined && maxDelayMs !== undefined && initialDelayMs > maxDelayMs) {
    problems.atValue(
      ['services', id, 'restart', 'initialDelayMs'],
      `initialDelayMs is more than maxDelayMs (${maxDelayMs}).`,
    );
  }
}
