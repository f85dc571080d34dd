import { hasPort } from './declared-services.ts';
import type { ConfigPath, ConfigProblems } from './problem.ts';
import type { ServiceConfig } from './schema.ts';
import { isObject } from './value.ts';

/** What one key of a service means for another. */
export function checkService(id: string, one: ServiceConfig, problems: ConfigProblems): void {
  checkKind(id, one, problems);
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
  }
  if (isObject(wanted) && wanted.from > wanted.to) {
    problems.atValue([...at, 'port'], `The band ${wanted.from}-${wanted.to} is empty: "from" is greater than "to".`);
  }
  if (typeof wanted === 'number' && (one.replicas ?? 1) > 1) {
    problems.atValue(
      [...at, 'replicas'],
      `${one.replicas} replicas of ${id} cannot share the fixed port ${wanted}; give it a band.`,
    );
  }
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
