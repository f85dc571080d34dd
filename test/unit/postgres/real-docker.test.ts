import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { containerName } from '../../../src/postgres/container.ts';
import { finished, type Finished, type Row } from '../../chaos/lab.ts';
import { processes } from '../../chaos/proc.ts';
import { type DockerDaemon, startDocker } from '../../support/docker.ts';
import { outDir } from '../../support/paths.ts';
import { importPostgres } from '../../support/postgres-image.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, dist, engineOrSkip, skip } from './harness.ts';

const CLI = join(dist, 'cli.cjs');
const IMAGE = 'helix-test/postgres:latest';
const PORT = 5432;
const NAME = containerName(PORT);
const CREDENTIALS = {
  host: '127.0.0.1',
  port: PORT,
  user: 'helix_user',
  password: 'a "real" $secret',
  database: 'helix',
};

/** All from the command line, as a user does it, in the network of the daemon: there, 5432 is nobody else's. */
describe('PostgreSQL in a real Docker', function () {
  this.timeout(180_000);
  const cleanup = new Cleanup();
  let daemon: DockerDaemon;
  let [folder, home] = ['', ''];

  before(async function () {
    const engine = await engineOrSkip(this, 'auto');
    const docker = await startDocker();
    if ('missing' in docker) skip(this, docker.missing);
    daemon = docker;
    await importPostgres(daemon, engine, IMAGE);
    const root = await cleanup.folder();
    [folder, home] = [join(root, 'workspace'), join(root, 'home')];
    await mkdir(join(folder, 'src/database'), { recursive: true });
    await writeFile(join(folder, '.env'), `POSTGRES_PASSWORD='${CREDENTIALS.password}'\n`);
    await writeFile(join(folder, 'src/database/init.sql'), 'CREATE TABLE jobs (id serial, title text);');
    await configure(IMAGE);
  });
  afterEach(async () => {
    await cli('stop');
  });
  after(async () => {
    for (const one of ours()) process.kill(one.pid, 'SIGKILL');
    await daemon?.stop();
    await cleanup.run();
  });

  const configure = (image: string): Promise<void> => {
    const services = { postgres: { type: 'postgres' } };
    const config = { services, postgres: { engine: 'docker', image }, proxy: { enabled: false } };
    return writeFile(join(folder, 'helix.config.json'), JSON.stringify(config));
  };

  const inside = (args: readonly string[], changes: NodeJS.ProcessEnv = {}): ChildProcess => {
    const [program, words] = daemon.inside(process.execPath, args);
    const env = { ...process.env, ...daemon.env, HELIX_PORTS_HOME: home, ...changes };
    return spawn(program, words, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  };
  const cli = (...args: readonly string[]): Promise<Finished> => finished(inside([CLI, ...args]));
  const ours = (): ReturnType<typeof processes> =>
    processes().filter(one => one.environment.includes(`HELIX_PORTS_HOME=${home}`));
  const supervisor = (): number | undefined =>
    ours().find(one => one.command.some(word => word.endsWith('supervisor.cjs')))?.pid;

  async function start(): Promise<void> {
    const { code, stdout, stderr } = await cli('start', '--detach');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^postgres {2}healthy/m);
  }

  async function row(): Promise<Row> {
    const { stdout } = await cli('status', '--json');
    return (JSON.parse(stdout) as { services: Row[] }).services[0]!;
  }

  async function sql(...statements: readonly string[]): Promise<unknown[]> {
    const program = join(outDir, 'test/unit/postgres/query.cjs');
    const { code, stdout, stderr } = await finished(inside([program, JSON.stringify(CREDENTIALS), ...statements]));
    if (code !== 0) throw new Error(stderr);
    return stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as unknown);
  }

  const inspect = async (template: string): Promise<string> => daemon.docker('inspect', '--format', template, NAME);
  const isRunning = async (): Promise<boolean> => (await inspect('{{.State.Running}}')) === 'true';

  it('starts one on loopback, with role, database and tables, and the password on no command line', async () => {
    await start();
    assert.deepEqual(await sql('SELECT current_user AS who, current_database() AS what', 'SELECT * FROM jobs'), [
      [{ who: 'helix_user', what: 'helix' }],
      [],
    ]);
    assert.equal(
      await inspect('{{json .HostConfig.PortBindings}}'),
      '{"5432/tcp":[{"HostIp":"127.0.0.1","HostPort":"5432"}]}',
    );
    assert.ok(!processes().some(one => one.command.join(' ').includes(CREDENTIALS.password)));
    const { code, stdout } = await cli('doctor', '--json');
    assert.equal(code, 0, stdout);
    assert.match((await cli('logs', 'postgres')).stdout, /database system is ready to accept connections/);
  });

  it('keeps the data over stop and start, in a volume that is still there without the container', async () => {
    await start();
    await sql("INSERT INTO jobs (title) VALUES ('kept')");
    assert.equal((await cli('stop')).code, 0);
    assert.equal(await isRunning(), false);
    assert.equal(await inspect('{{.State.ExitCode}}'), '0', 'in order, not killed');
    await assert.rejects(sql('SELECT 1'), /ECONNREFUSED/);
    await start();
    assert.deepEqual(await sql('SELECT title FROM jobs'), [[{ title: 'kept' }]]);
    await cli('stop');
    await daemon.docker('rm', '--volumes', NAME);
    await start();
    assert.deepEqual(await sql('SELECT title FROM jobs'), [[{ title: 'kept' }]]);
  });

  it('comes back after its supervisor was killed, after the runner was, and after the container was', async () => {
    const keeping = inside([CLI, 'start']);
    const ended = finished(keeping);
    await waitFor('the start', async () => (await row()).state === 'healthy', { seen: row });
    await sql('CREATE TABLE survivors AS SELECT 42 AS value');
    const kills: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['supervisor', () => Promise.resolve(process.kill(supervisor()!, 'SIGKILL'))],
      ['runner', async () => process.kill((await row()).pid!, 'SIGKILL')],
      ['container', () => daemon.docker('kill', NAME)],
    ];
    for (const [what, kill] of kills) {
      const before = await inspect('{{.State.StartedAt}}');
      await kill();
      const isBack = async (): Promise<boolean> =>
        (await row()).state === 'healthy' && (await inspect('{{.State.StartedAt}}')) !== before;
      await waitFor(`the end of the ${what} to be overcome`, isBack, { seen: row });
      assert.deepEqual(await sql('SELECT value FROM survivors'), [[{ value: 42 }]], what);
    }
    keeping.kill('SIGINT');
    assert.equal((await ended).code, 130);
    assert.equal(await isRunning(), false);
  });

  it('says of an image that is nowhere what it is and what to do, and makes nothing', async () => {
    await configure('helix-test/nowhere:1');
    try {
      const { code, stderr } = await cli('start', '--detach');
      assert.equal(code, 1, stderr);
      assert.match(stderr, /The image helix-test\/nowhere:1 could not be fetched: .*"image": .*docker image ls/);
      assert.equal((await row()).state, 'stopped');
      assert.equal(await isRunning(), false);
    } finally {
      await configure(IMAGE);
    }
  });

  it('says so when no daemon answers', async () => {
    const elsewhere = { DOCKER_HOST: `unix://${join(folder, 'nobody.sock')}` };
    const { code, stderr } = await finished(inside([CLI, 'start', '--detach'], elsewhere));
    assert.equal(code, 1);
    assert.match(stderr, /docker does not answer: Cannot connect.*Start it/);
  });

  it('leaves nothing of it on the machine', async () => {
    const groups = daemon.controlGroups();
    assert.ok(groups.length > 0);
    await daemon.stop();
    const left = processes().filter(one => one.command.some(word => word.includes(daemon.folder)));
    assert.deepEqual(left, []);
    assert.deepEqual(
      [daemon.folder, ...groups].filter(one => existsSync(one)),
      [],
    );
    assert.ok(!(await readFile('/proc/self/mounts', 'utf8')).includes(daemon.folder));
  });
});
