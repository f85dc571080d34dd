import { delay } from '../base/async.ts';
import { isCancelled, messageOf } from '../base/errors.ts';
import type { Environment } from './environment.ts';
import { Database } from './database.ts';
import { type Log, createLog } from './log.ts';
import { loadEnvironment } from './environment.ts';

export interface Service {
  readonly env: Environment;
  readonly log: Log;
  readonly database: Database;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

/** Runs a service until it is asked to stop; then code 0. What it throws ends it with code 1. */
export async function runService(name: string, run: (service: Service) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  let database: Database | undefined;
  try {
    const env = loadEnvironment();
    const log = createLog(env.logLevel);
    database = new Database(env.postgres, name);
    await run({ env, log, database, signal: stop.signal });
    log.info(`${name} stopped`);
  } catch (error) {
    if (!isCancelled(error)) {
      // Node's own text for a taken port holds EADDRINUSE, which a supervisor looks for.
      console.error(error instanceof Error && 'syscall' in error ? String(error) : messageOf(error));
      process.exitCode = 1;
    }
  } finally {
    await database?.end().catch(() => undefined);
  }
}

/**
 * Calls `step` for as long as it finds work, then waits for an announcement or `pollMs`. The database may go away and
 * come back: that is told once, not at each try.
 */
export async function poll(service: Service, name: string, step: () => Promise<boolean>): Promise<void> {
  const { database, env, log, signal } = service;
  let wake = (): void => undefined;
  let announced = false;
  database.listen(() => {
    announced = true;
    wake();
  }, signal);
  let state: 'unknown' | 'up' | 'down' = 'unknown';
  while (!signal.aborted) {
    announced = false;
    let busy = false;
    try {
      busy = await step();
      if (state !== 'up') log.info(state === 'down' ? 'database is back' : `${name} polling`);
      state = 'up';
    } catch (error) {
      if (signal.aborted) return;
      if (state !== 'down') log.warn(`database not reachable, trying again: ${messageOf(error)}`);
      state = 'down';
    }
    if (busy || (announced && state === 'up')) continue;
    const woken = new Promise<void>(resolve => (wake = resolve));
    const timer = new AbortController();
    const either = AbortSignal.any([signal, timer.signal]);
    await Promise.race([woken, delay(env.pollMs, either).catch(() => undefined)]);
    timer.abort();
  }
}
