import { readFile } from 'node:fs/promises';
import type pg from 'pg';
import { UserError, codeOf, messageOf } from '../base/errors.ts';
import { type Credentials, withClient } from './probe.ts';

/** Two workspaces, or an editor and a command line, may come to one new database at the same time. */
const LOCK = 7_405_132;
/** A schema of any size is made in less. */
const LIMIT_MS = 120_000;

/** Anything in it that somebody made; what extensions bring along is nobody's data. */
const HAS_TABLES = `
  SELECT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ) AS used`;

/**
 * Runs the SQL file in a database that holds no table yet, all of it or nothing; one that holds any is left alone.
 * Says whether it ran. A file that is not there is no error: then there is nothing to run.
 * @throws {UserError} with the file's line when PostgreSQL refuses it
 */
export async function initialiseDatabase(credentials: Credentials, file: string): Promise<boolean> {
  const sql = await readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new UserError(`${file} cannot be read: ${messageOf(error)}. Check its permissions.`, { cause: error });
  });
  if (sql === undefined || sql.trim() === '') return false;
  return withClient(
    credentials,
    async client => {
      // Until the end of this connection.
      await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
      const { rows } = await client.query<{ used: boolean }>(HAS_TABLES);
      if (rows[0]?.used) return false;
      await runFile(client, file, sql.replace(/^\ufeff/, ''));
      return true;
    },
    LIMIT_MS,
  );
}

async function runFile(client: pg.Client, file: string, sql: string): Promise<void> {
  try {
    // Several statements in one message are one transaction.
    await client.query(sql);
  } catch (error) {
    const position = Number((error as { position?: unknown }).position);
    const line = Number.isInteger(position) ? `:${sql.slice(0, position - 1).split('\n').length}` : '';
    throw new UserError(
      `${file}${line} could not be run: ${messageOf(error)}. Nothing of it was kept; correct it and start again.`,
      { cause: error },
    );
  }
}

/**
 * Creates the database that the credentials name, unless it is there.
 * @throws {UserError} with what an administrator can do when this role may not
 */
export async function createDatabase(credentials: Credentials): Promise<void> {
  const { database, user } = credentials;
  try {
    await withClient({ ...credentials, database: 'postgres' }, client =>
      client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`),
    );
  } catch (error) {
    // Another start was faster.
    if (codeOf(error) === '42P04' || codeOf(error) === '23505') return;
    const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
    throw new UserError(
      `The database ${database} could not be created: ${messageOf(error)}. Have an administrator run ` +
        `CREATE DATABASE ${quoted(database)} OWNER ${quoted(user)}, or set POSTGRES_PORT in .env to a free port to get a server of your own.`,
      { cause: error },
    );
  }
}
