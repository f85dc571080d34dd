import pg from 'pg';
import { codeOf } from '../base/errors.ts';
import type { Credentials } from '../postgres/probe.ts';

/** A schema of its own: the database may be one that a real HELIX uses. */
const SCHEMA = `
CREATE SCHEMA IF NOT EXISTS helix_demo;
CREATE TABLE IF NOT EXISTS helix_demo.jobs (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  prompt text NOT NULL,
  layout text,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
  result jsonb,
  error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz
);
CREATE TABLE IF NOT EXISTS helix_demo.tasks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id uuid NOT NULL REFERENCES helix_demo.jobs ON DELETE CASCADE,
  step integer NOT NULL,
  agent text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'completed', 'failed')),
  attempts integer NOT NULL DEFAULT 0,
  worker text,
  lease_until timestamptz,
  output jsonb,
  error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  UNIQUE (job_id, step)
);
CREATE INDEX IF NOT EXISTS jobs_open ON helix_demo.jobs (created_at) WHERE status IN ('pending', 'processing');
CREATE INDEX IF NOT EXISTS tasks_open ON helix_demo.tasks (id) WHERE status IN ('pending', 'running');
`;

/** Any number, the same in all three services: whoever comes first makes the tables, the others wait and find them. */
const SCHEMA_LOCK = 727_200_001;

const CHANNEL = 'helix_demo';

/** What only says that the tables have gone: the database was made anew under our feet. */
const TABLES_GONE = new Set(['42P01', '3F000']);

export type Row = Record<string, unknown>;
export type Query = <T extends Row>(text: string, values?: readonly unknown[]) => Promise<T[]>;

/**
 * A pool that outlives the server: every call tries anew, makes the tables when they are missing, and a connection
 * that breaks while idle is dropped rather than thrown.
 */
export class Database {
  private readonly pool: pg.Pool;
  private schema: Promise<void> | undefined;

  constructor(
    credentials: Credentials,
    private readonly name: string,
  ) {
    this.pool = new pg.Pool({
      ...connectionOf(credentials, name),
      max: 5,
      query_timeout: 10_000,
      idleTimeoutMillis: 30_000,
    });
    this.pool.on('error', () => undefined);
    this.credentials = credentials;
  }
  private readonly credentials: Credentials;

  readonly query: Query = async <T extends Row>(text: string, values: readonly unknown[] = []): Promise<T[]> => {
    await this.ensureSchema();
    return this.guarded(async () => (await this.pool.query<T>(text, [...values])).rows);
  };

  async transaction<T>(use: (query: Query) => Promise<T>): Promise<T> {
    await this.ensureSchema();
    return this.guarded(() => this.inTransaction(use));
  }

  /** Calls `wake` at each announcement, and after each reconnection, as some may have been missed. */
  listen(wake: () => void, signal: AbortSignal, retryMs = 1000): void {
    if (signal.aborted) return;
    const client = new pg.Client({ ...connectionOf(this.credentials, this.name), keepAlive: true });
    let ended = false;
    const again = (): void => {
      if (ended) return;
      ended = true;
      signal.removeEventListener('abort', close);
      setTimeout(() => this.listen(wake, signal, retryMs), retryMs).unref();
    };
    const close = (): void => {
      ended = true;
      client.end().catch(() => undefined);
    };
    signal.addEventListener('abort', close, { once: true });
    client.on('error', again).on('end', again).on('notification', wake);
    client
      .connect()
      .then(() => client.query(`LISTEN ${CHANNEL}`))
      .then(wake, again);
  }

  async end(): Promise<void> {
    await this.pool.end();
  }

  private ensureSchema(): Promise<void> {
    this.schema ??= this.inTransaction(async query => {
      await query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK]);
      // All or nothing was made, so the last one stands for all. `IF NOT EXISTS` alone would lock the tables that
      // the other services work on, and meet them in a deadlock.
      const [made] = await query<{ found: string | null }>("SELECT to_regclass('helix_demo.tasks_open') AS found");
      if (!made?.found) await query(SCHEMA);
    }).catch((error: unknown) => {
      this.schema = undefined;
      throw error;
    });
    return this.schema;
  }

  private async guarded<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      if (TABLES_GONE.has(codeOf(error) ?? '')) this.schema = undefined;
      throw error;
    }
  }

  private async inTransaction<T>(use: (query: Query) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    const onError = (error: Error): void => void (broken = error);
    client.on('error', onError);
    try {
      await client.query('BEGIN');
      const result = await use(async <R extends Row>(text: string, values?: readonly unknown[]) => {
        const { rows } = await client.query<R>(text, values && [...values]);
        return rows;
      });
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((failure: Error) => (broken ??= failure));
      throw error;
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  }
}

/** Wakes whoever listens, when the transaction that holds it commits. */
export const ANNOUNCE = `SELECT pg_notify('${CHANNEL}', '')`;

const connectionOf = ({ host, port, user, password, database }: Credentials, name: string): pg.ClientConfig => ({
  host,
  port,
  user,
  password,
  database,
  application_name: `helix-${name}`,
  connectionTimeoutMillis: 3000,
});
