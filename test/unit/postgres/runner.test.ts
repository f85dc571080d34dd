import assert from 'node:assert/strict';
import { readFile, readdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { countForeignClients } from '../../../src/postgres/clients.ts';
import { readPostmaster } from '../../../src/postgres/cluster.ts';
import type { PostgresConfig } from '../../../src/postgres/config.ts';
import { type EnginePreference } from '../../../src/postgres/engines.ts';
import { probePostgres, tryCredentials, withClient } from '../../../src/postgres/probe.ts';
import { startTimeOf } from '../../../src/postgres/processes.ts';
import { resolvePostgres } from '../../../src/postgres/resolve.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, engineOf, engineOrSkip } from './harness.ts';

const sql = <T>(config: PostgresConfig, text: string): Promise<T[]> =>
  withClient(config, async client => (await client.query(text)).rows as T[]);

for (const preference of ['system', 'embedded'] as const satisfies EnginePreference[]) {
  describe(`postgres runner, ${preference} engine`, function () {
    this.timeout(120_000);
    const cleanup = new Cleanup();
    before(async function () {
      await engineOrSkip(this, preference);
    });
    afterEach(() => cleanup.run());

    it('makes a cluster, keeps its data between runs, and initialises it once', async () => {
      const config = await cleanup.config({ preference });
      const first = await cleanup.readyPostgres(config);
      assert.match(first.output, /Creating a PostgreSQL/);
      await sql(config, 'CREATE TABLE kept AS SELECT 42 AS value');
      assert.equal(await first.stop(), 0);

      const second = await cleanup.readyPostgres(config);
      assert.doesNotMatch(second.output, /Creating/);
      assert.deepEqual(await sql(config, 'SELECT value FROM kept'), [{ value: 42 }]);
      assert.equal(await second.stop('SIGTERM'), 0);
      const clusters = (await readdir(config.dataRoot)).filter(name => !name.endsWith('.json'));
      assert.equal(clusters.length, 1, `one cluster and no left-overs: ${clusters.join(', ')}`);
    });

    it('listens on loopback alone, with scram and no Unix socket', async () => {
      const config = await cleanup.config({ preference });
      await cleanup.readyPostgres(config);
      const show = async (name: string): Promise<unknown> =>
        Object.values((await sql<Record<string, unknown>>(config, `SHOW ${name}`))[0] ?? {})[0];
      assert.equal(await show('listen_addresses'), '127.0.0.1');
      assert.equal(await show('unix_socket_directories'), '');
      assert.equal(await show('server_encoding'), 'UTF8');
      const rules = await sql<{ auth_method: string }>(config, 'SELECT DISTINCT auth_method FROM pg_hba_file_rules');
      assert.deepEqual(rules, [{ auth_method: 'scram-sha-256' }]);
    });

    it('ends with clients connected, on SIGINT and on SIGTERM', async () => {
      const config = await cleanup.config({ preference });
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        const program = await cleanup.readyPostgres(config);
        await withClient(config, async () => assert.equal(await program.stop(signal), 0));
      }
    });

    it('leaves no server behind when it is killed, and starts again on the same data', async () => {
      const config = await cleanup.config({ preference });
      const killed = await cleanup.readyPostgres(config);
      const server = await serverOf(config);
      await killed.stop('SIGKILL');
      await waitFor('the server to follow its runner', async () => (await startTimeOf(server)) === undefined);
      await cleanup.readyPostgres(config);
    });

    it('starts again after the whole process group was killed', async () => {
      const config = await cleanup.config({ preference });
      const killed = cleanup.postgres(config, { detached: true });
      await killed.prints(/^PostgreSQL is ready/m);
      const server = await serverOf(config);
      process.kill(-killed.pid, 'SIGKILL');
      await killed.exited;
      await waitFor('the server, of the same group, to end', async () => (await startTimeOf(server)) === undefined);
      await cleanup.readyPostgres(config);
    });

    it('exits with an error when the server dies', async () => {
      const config = await cleanup.config({ preference });
      const program = await cleanup.readyPostgres(config);
      process.kill(await serverOf(config), 'SIGKILL');
      assert.equal((await program.exited).code, 128 + 9);
    });

    it('takes over a changed password and a new role', async () => {
      const config = await cleanup.config({ preference });
      await (await cleanup.readyPostgres(config)).stop();
      for (const changed of [
        { ...config, password: 'other' },
        { ...config, user: 'o"ther', password: "it's", database: 'sec"ond' },
      ]) {
        const program = await cleanup.readyPostgres(changed);
        assert.equal((await tryCredentials(changed)).kind, 'ok');
        assert.doesNotMatch(program.output, /it's/, 'a password is never printed');
        await program.stop();
      }
    });
  });
}

describe('postgres runner', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  before(async function () {
    await engineOrSkip(this, 'auto');
  });
  afterEach(() => cleanup.run());

  it('is reused with the right credentials, and occupied with wrong ones', async () => {
    const config = await cleanup.config({ host: 'localhost' });
    assert.equal((await resolvePostgres(config)).kind, 'start');
    await cleanup.readyPostgres(config);

    const engine = await engineOf('auto');
    assert.deepEqual(await resolvePostgres(config), { kind: 'reuse', version: engine?.version });

    const wrong = await resolvePostgres({ ...config, password: 'wrong' });
    assert.equal(wrong.kind === 'occupied' && wrong.by, 'postgres');
    assert.match(
      JSON.stringify(wrong),
      /POSTGRES_PASSWORD.*Correct POSTGRES_PASSWORD in \.env; .*CREATE ROLE.*POSTGRES_PORT/,
    );
    assert.equal((await tryCredentials({ ...config, password: 'wrong' })).kind, 'wrong-password');
    assert.equal((await tryCredentials({ ...config, password: '' })).kind, 'wrong-password');
    assert.equal((await tryCredentials({ ...config, user: 'nobody' })).kind, 'wrong-password');

    const missing = await resolvePostgres({ ...config, database: 'missing' });
    assert.match(JSON.stringify(missing), /has no database \\"missing\\"/);
  });

  it('counts the other clients', async () => {
    const config = await cleanup.config();
    await cleanup.readyPostgres(config);
    const settled = (count: number): Promise<unknown> =>
      waitFor(`${count} other clients`, async () => (await countForeignClients(config)) === count, { interval: 20 });
    await settled(0);
    await withClient(config, async client => {
      await settled(1);
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      assert.equal(await countForeignClients(config, [rows[0]?.pid ?? 0]), 0);
    });
  });

  it('tells a taken port by EADDRINUSE, and who has it', async () => {
    const config = await cleanup.config();
    const server = createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    server.listen(config.port, '127.0.0.1');
    await once(server, 'listening');
    cleanup.add(() => void server.close());
    const program = cleanup.postgres(config);
    assert.equal((await program.exited).code, 3);
    assert.match(program.output, /EADDRINUSE: .* not PostgreSQL/);

    const resolved = await resolvePostgres(config, { describeHolder: () => Promise.resolve('mocha (pid 1)') });
    assert.equal(resolved.kind === 'occupied' && resolved.by, 'foreign');
    assert.match(JSON.stringify(resolved), /not PostgreSQL: mocha \(pid 1\)/);
  });

  it('starts one where the server that answered is gone a moment later', async () => {
    const config = await cleanup.config();
    // The answer to an SSLRequest is the last that this one says.
    const server = createServer(socket => socket.on('error', () => undefined).once('data', () => socket.end('N')));
    server.listen(config.port, '127.0.0.1').once('connection', () => server.close());
    await once(server, 'listening');
    cleanup.add(() => void server.close());
    assert.equal((await resolvePostgres(config)).kind, 'start');
  });

  it('does not start a second server on data that is in use', async () => {
    const config = await cleanup.config();
    await cleanup.readyPostgres(config);
    const other = cleanup.postgres({ ...config, port: (await cleanup.config()).port });
    assert.equal((await other.exited).code, 3);
    assert.match(other.output, new RegExp(`EADDRINUSE.*on port ${config.port}`));
  });

  it('survives two first starts at once with one cluster', async () => {
    const config = await cleanup.config();
    const both = [cleanup.postgres(config), cleanup.postgres(config)];
    await waitFor('a server', async () => (await tryCredentials(config)).kind === 'ok');
    await waitFor('the other to give up', () => both.filter(program => program.running).length === 1);
    const folders = (await readdir(config.dataRoot)).filter(name => !name.endsWith('.json'));
    assert.equal(folders.length, 1, folders.join(', '));
  });

  it('leaves either no cluster or a whole one when it is killed while making it', async () => {
    const config = await cleanup.config();
    const killed = cleanup.postgres(config, { detached: true });
    await waitFor(
      'initdb to write',
      async () => {
        const [staging] = await readdir(config.dataRoot);
        return staging && (await readdir(join(config.dataRoot, staging, 'data'))).length > 3;
      },
      { interval: 5 },
    );
    process.kill(-killed.pid, 'SIGKILL');
    await killed.exited;
    assert.deepEqual(
      (await readdir(config.dataRoot)).filter(name => /^pg\d+$/.test(name)),
      [],
    );

    await cleanup.readyPostgres(config);
    const left = (await readdir(config.dataRoot)).filter(name => name.includes('.tmp-'));
    assert.deepEqual(left, [], 'the half-made cluster and its password file are gone');
  });

  it('stops while it is still making the cluster', async () => {
    const config = await cleanup.config();
    const program = cleanup.postgres(config);
    await program.prints(/Creating/);
    assert.equal(await program.stop(), 0);
    assert.deepEqual(await readdir(config.dataRoot), []);
  });

  it('refuses a broken configuration with code 2', async () => {
    const config = await cleanup.config();
    for (const [bad, reason] of [
      [{ ...config, port: 0 }, /"port"/],
      [{ ...config, dataRoot: 'relative' }, /"dataRoot"/],
      [{ ...config, password: '' }, /POSTGRES_PASSWORD is empty/],
    ] as const) {
      const program = cleanup.postgres(bad);
      assert.equal((await program.exited).code, 2);
      assert.match(program.output, reason);
    }
  });

  it('keeps the data to its owner', async () => {
    const config = await cleanup.config();
    await cleanup.readyPostgres(config);
    const { dataDir } = await runningCluster(config);
    const info = await stat(dataDir);
    assert.equal(info.mode & 0o077, 0);
    if (process.getuid?.() === 0) assert.notEqual(info.uid, 0, 'never root');
    assert.match(await readFile(join(dataDir, 'PG_VERSION'), 'utf8'), /^\d+/);
  });

  it('knows a port that nobody has', async () => {
    const { host, port } = await cleanup.config();
    assert.equal(await probePostgres({ host, port }), 'closed');
  });
});

async function runningCluster(config: PostgresConfig): Promise<{ dataDir: string; pid: number }> {
  for (const name of await readdir(config.dataRoot)) {
    const dataDir = join(config.dataRoot, name);
    const postmaster = name.endsWith('.json') ? undefined : await readPostmaster(dataDir);
    if (postmaster) return { dataDir, pid: postmaster.pid };
  }
  throw new Error(`No server runs in ${config.dataRoot}`);
}

const serverOf = async (config: PostgresConfig): Promise<number> => (await runningCluster(config)).pid;
