import { type Credentials, withClient } from './probe.ts';

/**
 * How many clients other than this connection the server has, to leave a shared server running on stop.
 * `ownBackends` are backend processes (`pg_backend_pid()`) not to count.
 */
export function countForeignClients(credentials: Credentials, ownBackends: readonly number[] = []): Promise<number> {
  return withClient(credentials, async client => {
    const { rows } = await client.query<{ clients: number }>(
      `SELECT count(*)::int AS clients FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND pid <> ALL($1::int[])`,
      [ownBackends],
    );
    return rows[0]?.clients ?? 0;
  });
}
