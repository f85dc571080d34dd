import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import type { PostgresConfig } from '../../../src/postgres/config.ts';
import { ContainerEngine } from '../../../src/postgres/container-engine.ts';
import { Container, containerName } from '../../../src/postgres/container.ts';
import { tryCredentials, withClient } from '../../../src/postgres/probe.ts';
import { waitFor } from '../../support/wait.ts';
import { StandInDocker } from './docker.ts';
import { Cleanup, engineOrSkip, skip } from './harness.ts';

const sql = <T>(config: PostgresConfig, text: string): Promise<T[]> =>
  withClient(config, async client => (await client.query(text)).rows as T[]);

describe('PostgreSQL in a container', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let docker: StandInDocker;
  let config: PostgresConfig;

  before(async function () {
    if (process.platform !== 'linux') skip(this, 'the stand-in for docker looks into /proc');
    await engineOrSkip(this, 'auto');
  });
  beforeEach(async () => {
    docker = await StandInDocker.make(cleanup);
    await docker.hasImage();
    config = await cleanup.config({ docker: { image: 'postgres:13', program: docker.engine.program } });
  });
  afterEach(() => cleanup.run());

  const containerOf = ({ docker: wanted, ...credentials }: PostgresConfig): Container =>
    new Container({ engine: docker.engine, image: wanted!.image, credentials });
  const isRunning = async (): Promise<boolean> => (await containerOf(config).inspect())?.isRunning === true;

  const startedByHand = async (): Promise<void> => {
    await docker.engine.call(['start', containerName(config.port)]);
    const seen = async (): Promise<unknown> => [await docker.everyCall(), await docker.output(config.port)];
    await waitFor('the server', async () => (await tryCredentials(config)).kind === 'ok', { seen });
  };

  it('is made once on loopback with a volume, tells the password to no command line, and keeps its data', async () => {
    const first = await cleanup.readyPostgres(config);
    assert.match(first.output, /the data in the volume helix-postgres-\d+-13/);
    await sql(config, 'CREATE TABLE kept AS SELECT 42 AS value');
    assert.equal(await first.stop(), 0);
    assert.equal(await isRunning(), false);

    const name = containerName(config.port);
    const [args] = await docker.calls('create');
    const line = args!.join(' ');
    assert.match(line, new RegExp(`^create --name ${name} --label helix-ports\\.service=postgres`));
    assert.match(line, new RegExp(` --publish 127\\.0\\.0\\.1:${config.port}:5432 `));
    assert.match(line, new RegExp(` --volume ${name}-13:/var/lib/postgresql/data `));
    assert.match(line, / --env POSTGRES_PASSWORD --/);
    assert.match(line, / --stop-signal SIGINT .*postgres:13$/);
    const calls = await docker.everyCall();
    assert.ok(!JSON.stringify(calls.map(call => call.args)).includes(JSON.stringify(config.password).slice(1, -1)));
    assert.equal(calls.find(call => call.args[0] === 'create')?.password, config.password);

    const second = await cleanup.readyPostgres(config);
    assert.deepEqual(await sql(config, 'SELECT value FROM kept'), [{ value: 42 }]);
    assert.equal(await second.stop('SIGTERM'), 0);
    assert.equal((await docker.calls('create')).length, 1, 'the stopped one is started again');
    assert.equal((await docker.calls('start')).length, 2);
  });

  it('is stopped when its runner is killed, and by a kill of the whole group, and starts again', async () => {
    await (await cleanup.readyPostgres(config)).stop('SIGKILL');
    await waitFor('the container to follow its runner', async () => !(await isRunning()));
    const grouped = cleanup.postgres(config, { detached: true });
    await grouped.prints(/^PostgreSQL is ready/m);
    process.kill(-grouped.pid, 'SIGKILL');
    await grouped.exited;
    await waitFor('the container to follow its runner’s group', async () => !(await isRunning()));
    await cleanup.readyPostgres(config);
    assert.equal((await docker.calls('create')).length, 1);
  });

  it('is reused while it runs, and ended in order', async () => {
    await (await cleanup.readyPostgres(config)).stop();
    await startedByHand();
    const program = await cleanup.readyPostgres(config);
    assert.match(program.output, /runs already/);
    assert.equal((await docker.calls('start')).length, 2);
    assert.equal(await program.stop(), 0);
    assert.equal(await isRunning(), false);
  });

  it('ends with the server’s exit when that ends by itself', async () => {
    const program = await cleanup.readyPostgres(config);
    await docker.engine.call(['stop', containerName(config.port)]);
    assert.equal((await program.exited).code, 1, 'nobody asked for it');
  });

  it('is made anew for another image, on the same data', async () => {
    const first = await cleanup.readyPostgres(config);
    await sql(config, 'CREATE TABLE kept AS SELECT 7 AS value');
    await first.stop();
    const other = { ...config, docker: { ...config.docker!, image: 'registry.example/postgres:13-alpine' } };
    await cleanup.readyPostgres(other);
    assert.deepEqual(await sql(config, 'SELECT value FROM kept'), [{ value: 7 }]);
    assert.equal((await docker.calls('create')).length, 2);
    assert.equal((await docker.calls('rm')).length, 1);
  });

  it('says what to do when its data has another password', async () => {
    await (await cleanup.readyPostgres(config)).stop();
    // The server behind the stand-in would set it anew; the image's does so only for a new volume.
    await startedByHand();
    const program = cleanup.postgres({ ...config, password: 'another' });
    assert.equal((await program.exited).code, 1);
    assert.match(program.output, /with another password.*Set POSTGRES_USER and POSTGRES_PASSWORD in \.env/);
    assert.equal(await isRunning(), false, 'nothing is left running');
  });

  it('leaves alone a container that is not ours', async () => {
    await containerOf(config).ensureCreated();
    const file = { name: containerName(config.port) };
    await docker.engine.call(['rm', file.name]);
    await docker.engine.call([
      'create',
      ...['--name', file.name, '--env', 'POSTGRES_USER=x', '--publish', `127.0.0.1:${config.port}:5432`],
      ...['--volume', 'theirs:/data', 'postgres:13'],
    ]);
    const program = cleanup.postgres(config);
    assert.equal((await program.exited).code, 1);
    assert.match(program.output, /helix-postgres-\d+ that HELIX did not make.*docker rename .*POSTGRES_PORT/);
    assert.equal((await docker.calls('start')).length, 0);
  });

  it('tells a taken port by EADDRINUSE, whoever sees it', async () => {
    const server = createServer(socket =>
      socket
        .on('error', () => undefined)
        .end('HTTP/1.1 400 Bad Request\r\n\r\n')
        .resume(),
    );
    server.listen(config.port, '127.0.0.1');
    await once(server, 'listening');
    const seen = cleanup.postgres(config);
    assert.equal((await seen.exited).code, 3);
    assert.match(seen.output, /EADDRINUSE: .* is taken by another program/);
    await new Promise(resolve => server.close(resolve));

    await docker.refuses({
      start:
        'Error response from daemon: driver failed programming external connectivity: Bind for 127.0.0.1 failed: port is already allocated.\nError: failed to start containers: x',
    });
    const told = cleanup.postgres(config);
    assert.equal((await told.exited).code, 3);
    assert.match(told.output, /EADDRINUSE: .*port is already allocated/);
  });

  it('says what to do without a daemon, without the right to use it, and without an engine', async () => {
    await docker.refuses({ ps: 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' });
    const program = cleanup.postgres(config);
    assert.equal((await program.exited).code, 1);
    assert.match(program.output, /docker does not answer: Cannot connect.*Start it \(.*"engine": "auto"/);
    await docker.refuses({ ps: 'permission denied while trying to connect to the Docker daemon socket' });
    await assert.rejects(docker.engine.assertReachable(), /may not use docker.*usermod -aG docker/);
    await assert.rejects(ContainerEngine.find({ PATH: '' }, []), /neither docker nor podman is on the PATH/);
  });

  it('takes the first engine on the PATH, and Podman where there is no Docker', async () => {
    const folders = [await cleanup.folder(), await cleanup.folder()];
    const add = async (folder: string, name: string): Promise<string> => {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, name), '#!/bin/sh\n', { mode: 0o755 });
      return join(folder, name);
    };
    const podman = await add(folders[0]!, 'podman');
    const PATH = folders.join(delimiter);
    const found = await ContainerEngine.find({ PATH }, []);
    assert.deepEqual([found.program, found.name], [podman, 'podman']);
    const program = await add(folders[1]!, 'docker');
    assert.equal((await ContainerEngine.find({ PATH }, [])).program, program);
  });
});
