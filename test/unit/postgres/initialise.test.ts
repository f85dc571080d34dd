import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, open, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresConfig } from '../../../src/postgres/config.ts';
import { createDatabase, initialiseDatabase } from '../../../src/postgres/initialise.ts';
import { tryCredentials, withClient } from '../../../src/postgres/probe.ts';
import { resolvePostgres } from '../../../src/postgres/resolve.ts';
import { loadPlan } from '../../../src/session/load-plan.ts';
import { postgresService } from '../../../src/session/postgres-service.ts';
import { Cleanup, engineOrSkip, skip } from './harness.ts';

const run = promisify(execFile);

const sql = <T>(config: PostgresConfig, text: string): Promise<T[]> =>
  withClient(config, async client => (await client.query(text)).rows as T[]);

const SCHEMA = `\ufeff-- HELIX's own
CREATE EXTENSION IF NOT EXISTS plpgsql;
CREATE TABLE jobs (id int PRIMARY KEY);
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;
INSERT INTO jobs VALUES (1);
`;

describe('a database of HELIX', function () {
  this.timeout(180_000);
  const cleanup = new Cleanup();
  const everyTime = new Cleanup();
  let config: PostgresConfig;
  let folder: string;

  before(async function () {
    await engineOrSkip(this, 'auto');
    folder = await cleanup.folder();
    config = await cleanup.config({ initSql: join(folder, 'init.sql') });
    await writeFile(config.initSql!, SCHEMA);
    await cleanup.readyPostgres(config);
  });
  after(() => cleanup.run());
  afterEach(() => everyTime.run());

  async function schema(text: string): Promise<string> {
    const file = join(folder, `${Math.random()}.sql`);
    await writeFile(file, text);
    return file;
  }

  async function newDatabase(name: string): Promise<PostgresConfig> {
    const own = { ...config, database: name };
    await createDatabase(own);
    everyTime.add(() => sql(config, `DROP DATABASE IF EXISTS "${name}" (FORCE)`).catch(() => undefined));
    return own;
  }

  it('is filled from init.sql by the server that creates it', async () => {
    assert.deepEqual(await sql(config, 'SELECT id, one() FROM jobs'), [{ id: 1, one: 1 }]);
  });

  it('is filled once, and never over data, whoever comes', async () => {
    assert.equal(await initialiseDatabase(config, config.initSql!), false);
    assert.equal(await initialiseDatabase(config, await schema('DROP TABLE jobs')), false);
    assert.deepEqual(await sql(config, 'SELECT id FROM jobs'), [{ id: 1 }]);
    const fresh = await newDatabase('fresh');
    const all = await Promise.all(Array.from({ length: 5 }, () => initialiseDatabase(fresh, config.initSql!)));
    assert.equal(all.filter(Boolean).length, 1, 'of five at once one fills it');
    assert.deepEqual(await sql(fresh, 'SELECT id FROM jobs'), [{ id: 1 }]);
  });

  it('is left empty by a file with a mistake, which is told with its line', async () => {
    const fresh = await newDatabase('mistaken');
    const file = await schema('CREATE TABLE a (id int);\nCREATE TABEL b (id int);\n');
    await assert.rejects(initialiseDatabase(fresh, file), (error: Error) => {
      assert.ok(error.message.startsWith(`${file}:2 could not be run: `), error.message);
      assert.match(error.message, /TABEL.*Nothing of it was kept/);
      return true;
    });
    assert.equal(await initialiseDatabase(fresh, config.initSql!), true);
  });

  it('needs no file', async () => {
    const fresh = await newDatabase('without');
    assert.equal(await initialiseDatabase(fresh, join(folder, 'missing.sql')), false);
    assert.equal(await initialiseDatabase(fresh, await schema(' \n')), false);
    await assert.rejects(initialiseDatabase(fresh, folder), /cannot be read: EISDIR/);
  });

  it('that is missing on a server which is there is created, where the role may', async () => {
    const missing = { ...config, database: 'mis"sing' };
    const seen = await resolvePostgres(missing);
    assert.equal(seen.kind, 'no-database');
    await createDatabase(missing);
    await createDatabase(missing);
    everyTime.add(() => sql(config, 'DROP DATABASE "mis""sing"'));
    assert.equal((await resolvePostgres(missing)).kind, 'reuse');

    await sql(config, `CREATE ROLE small LOGIN PASSWORD 'small'`);
    everyTime.add(() => sql(config, 'DROP ROLE small'));
    const small = { ...config, user: 'small', password: 'small', database: 'other' };
    await assert.rejects(
      createDatabase(small),
      /other could not be created: permission denied.*CREATE DATABASE "other" OWNER "small", or set POSTGRES_PORT/,
    );
  });

  it('is not made by another engine when external is asked for', async () => {
    const workspace = await everyTime.folder();
    const { port } = await everyTime.config();
    const file = { services: { postgres: { type: 'postgres', port } }, postgres: { engine: 'external' } };
    await writeFile(join(workspace, 'helix.config.json'), JSON.stringify(file));
    const plan = await loadPlan(workspace, undefined, { POSTGRES_PASSWORD: 'secret' });
    const provider = postgresService({
      program: '',
      embeddedRoots: [workspace],
      mayFetch: () => Promise.resolve(false),
      onFetchOutput: () => undefined,
    });
    await assert.rejects(provider.prepare(plan!.services[0]!, plan!, new AbortController().signal), (error: Error) => {
      assert.match(error.message, /No PostgreSQL answers at .*"external" lets none be started here/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });

  it('is not looked for on a server that is too old', async () => {
    const major = parseInt(((await tryCredentials(config)) as { version: string }).version, 10);
    assert.equal((await resolvePostgres(config, { oldestMajor: major })).kind, 'reuse');
    const old = await resolvePostgres(config, { oldestMajor: major + 1 });
    assert.ok(old.kind === 'occupied' && old.by === 'postgres');
    assert.match(old.detail, new RegExp(`is version ${major}[.\\d]*, and HELIX needs ${major + 1} or newer`));
    assert.match(old.advice, /Upgrade it, or set POSTGRES_PORT/);
  });

  it('is not begun on data of another version, and says which one is needed', async () => {
    const own = await everyTime.config();
    await (await everyTime.readyPostgres(own)).stop();
    const [name] = (await readdir(own.dataRoot)).filter(one => /^pg\d+$/.test(one));
    await writeFile(join(own.dataRoot, name!, 'PG_VERSION'), '9\n');
    const program = everyTime.postgres(own);
    assert.equal((await program.exited).code, 1);
    assert.match(program.output, /The data in .* was made by PostgreSQL 9, and this is \d+/);
    assert.match(program.output, /Install PostgreSQL 9, or move that folder away/);
    await rename(join(own.dataRoot, name!), join(own.dataRoot, 'kept'));
    await everyTime.readyPostgres(own);
  });

  describe('on a full disk', () => {
    /** A file system of this size, in memory; only root may make one, and not everywhere. */
    async function smallDisk(context: Mocha.Context, megabytes: number): Promise<string> {
      if (process.platform !== 'linux' || process.getuid?.() !== 0)
        skip(context, 'only root on Linux can make a small disk');
      const disk = join(await everyTime.folder(), 'disk');
      await mkdir(disk);
      await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'tmpfs', disk]).catch(() =>
        skip(context, 'a small disk cannot be mounted here'),
      );
      everyTime.add(() => run('umount', ['-l', disk]));
      return disk;
    }

    it('is not created, and says so', async function () {
      const disk = await smallDisk(this, 8);
      const program = everyTime.postgres(await everyTime.config({ dataRoot: join(disk, 'data') }));
      assert.equal((await program.exited).code, 1);
      assert.match(program.output, /The disk is full: PostgreSQL's data in .* needs about 50 MB\. Free some space/);
    });

    it('is not started, says so, and keeps its data', async function () {
      const disk = await smallDisk(this, 160);
      const own = await everyTime.config({ dataRoot: join(disk, 'data') });
      const first = await everyTime.readyPostgres(own);
      await sql(own, 'CREATE TABLE kept AS SELECT 42 AS value');
      await first.stop();
      const filler = await open(join(disk, 'filler'), 'w');
      const block = Buffer.alloc(1 << 16);
      let full: unknown;
      while (!full) await filler.write(block).catch((error: unknown) => (full = error));
      await filler.close();
      const program = everyTime.postgres(own);
      assert.equal((await program.exited).code, 1, program.output);
      assert.match(program.output, /The disk is full: PostgreSQL ended, and 0 MB are left .* the data is kept/);
      await run('rm', [join(disk, 'filler')]);
      await everyTime.readyPostgres(own);
      assert.deepEqual(await sql(own, 'SELECT value FROM kept'), [{ value: 42 }]);
    });
  });
});
