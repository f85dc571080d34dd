import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'dotenv';
import { finished, type Finished, repository, type Row } from '../../chaos/lab.ts';
import { processes } from '../../chaos/proc.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, freeBand, HEALTH, SERVICES } from '../run/harness.ts';

const CLI = join(repository, 'dist/cli.cjs');
const ESCAPES = /\x1b\[/;

/** What the commands do with a stack that runs: outputs, exit codes, and what a terminal shows that a pipe does not. */
describe('helix-ports with a stack', function () {
  this.timeout(240_000);
  const cleanup = new Cleanup();
  let folder = '';
  let home = '';

  beforeEach(async function () {
    if (process.platform !== 'linux') return this.skip();
    const root = await cleanup.folder();
    [folder, home] = [join(root, 'workspace'), join(root, 'home')];
    await mkdir(folder);
    const service = (script: string): object => ({
      command: ['${node}', '-e', script],
      env: { PORT: '${port}' },
      readiness: { http: HEALTH.path, expect: HEALTH.expect },
    });
    const { from, to } = await freeBand(10);
    const config = {
      services: {
        api: { ...service(SERVICES.http), port: { from, to } },
        web: { ...service(SERVICES.http), port: { from, to }, dependsOn: ['api'] },
      },
      proxy: { enabled: false },
    };
    await writeFile(join(folder, 'helix.config.json'), JSON.stringify(config));
    cleanup.add(async () => {
      await cli('stop');
      for (const one of ours()) process.kill(one, 'SIGKILL');
    });
  });

  afterEach(() => cleanup.run());

  const ours = (): number[] =>
    processes()
      .filter(one => one.pid !== process.pid && one.environment.includes(`HELIX_PORTS_HOME=${home}`))
      .map(one => one.pid);

  const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess =>
    spawn(process.execPath, [CLI, ...args], {
      cwd: folder,
      env: { ...process.env, HELIX_PORTS_HOME: home, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  const cli = (...args: readonly string[]): Promise<Finished> => finished(run(args));

  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await cli(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  const rows = async (): Promise<readonly Row[]> =>
    (JSON.parse(await ok('status', '--json')) as { services: Row[] }).services;

  it('tells in a pipe, in plain lines, what each command was asked for', async () => {
    const start = await cli('start', '--detach');
    assert.equal(start.code, 0, start.stderr);
    assert.match(
      start.stdout,
      /^api {2}healthy {2}http:\/\/127\.0\.0\.1:\d+\nweb {2}healthy {2}http:\/\/127\.0\.0\.1:\d+\n$/,
    );
    assert.match(start.stderr, /^1 of 2: waiting for api/m);
    assert.doesNotMatch(start.stderr, ESCAPES);

    const { workspace, services } = JSON.parse(await ok('status', '--json')) as { workspace: string; services: Row[] };
    assert.equal(workspace, await realpath(folder));
    const [api, web] = services as [Row, Row];
    assert.deepEqual(api, {
      id: 'api',
      state: 'healthy',
      port: api.port,
      url: `http://127.0.0.1:${api.port}`,
      pid: api.pid,
      restarts: 0,
    });
    assert.equal(((await (await fetch(`${api.url}/health`)).json()) as { pid: number }).pid, api.pid);
    assert.match(await ok('status'), new RegExp(`^api +healthy +${api.port} +${api.url} +${api.pid} +.* 0$`, 'm'));

    assert.equal(await ok('url'), `${api.url}\n`);
    assert.equal(await ok('url', 'web'), `${web.url}\n`);
    const values = parse(await ok('env'));
    assert.equal(values['API_PORT'], String(api.port));
    assert.deepEqual(values, parse(await readFile(join(folder, '.env.local'), 'utf8')));
    assert.match(await ok('logs', 'api'), new RegExp(`^up on ${api.port}$`, 'm'));
    assert.equal((await ok('logs', 'api', '--lines', '1')).split('\n').length, 2);
  });

  it('has its own processes read no certificates, and the services those that the user names', async () => {
    const file = join(folder, 'company.pem');
    await writeFile(file, '');
    const start = await finished(run(['start', '--detach'], { NODE_EXTRA_CA_CERTS: file }));
    assert.equal(start.code, 0, start.stderr);
    const [{ pid }] = (await rows()) as [Row, Row];
    const all = processes();
    const api = all.find(one => one.pid === pid)!;
    const supervisor = all.find(one => one.pid === api.ppid)!;
    const certificates = (one: typeof api): string[] =>
      one.environment.filter(entry => entry.includes('_EXTRA_CA_CERTS='));
    assert.deepEqual(certificates(api), [`NODE_EXTRA_CA_CERTS=${file}`]);
    assert.ok(certificates(supervisor).includes('NODE_EXTRA_CA_CERTS='));
  });

  it('restarts and stops one or all, and says what cannot be done', async () => {
    await ok('start', '--detach');
    const [api, web] = (await rows()) as [Row, Row];
    await ok('restart', 'web');
    const after = (await rows()) as [Row, Row];
    assert.equal(after[0].pid, api.pid);
    assert.notEqual(after[1].pid, web.pid);
    assert.deepEqual({ port: after[1].port, restarts: after[1].restarts }, { port: web.port, restarts: 1 });
    for (const args of [
      ['restart', 'nobody'],
      ['stop', 'nobody'],
      ['url', 'nobody'],
      ['logs', 'nobody'],
    ]) {
      const { code, stderr } = await cli(...args);
      assert.equal(code, 1, args.join(' '));
      assert.match(stderr, /no service "nobody"; there are api, web/);
    }
    assert.deepEqual(await rows(), after);
    await ok('stop', 'web');
    assert.deepEqual(
      (await rows()).map(row => row.state),
      ['healthy', 'stopped'],
    );
    await ok('stop');
    assert.ok((await rows()).every(row => row.state === 'stopped' && row.pid === null && row.port === null));
    assert.deepEqual(parse(await readFile(join(folder, '.env.local'), 'utf8')), {});
    await waitFor('the end of all', () => ours().length === 0, { seen: ours });
  });

  it('follows what happens', async () => {
    await ok('start', '--detach');
    const [status, logs] = [run(['status', '--json', '--watch']), run(['logs', 'api', '--follow'])];
    let [states, lines] = ['', ''];
    status.stdout!.on('data', (text: Buffer) => (states += text.toString()));
    logs.stdout!.on('data', (text: Buffer) => (lines += text.toString()));
    await waitFor('what there is', () => states.includes('healthy') && lines.includes('up on'));
    await ok('restart', 'api');
    await waitFor('the new process', () => lines.match(/up on/g)?.length === 2, { seen: () => lines });
    const seen = (): Row[] =>
      states
        .split('\n')
        .filter(Boolean)
        .map(line => (JSON.parse(line) as { services: Row[] }).services[0]!);
    await waitFor('the restart', () => seen().some(row => row.state === 'healthy' && row.restarts === 1), {
      seen: () => states,
    });
    for (const one of [status, logs]) {
      const ended = finished(one);
      one.kill('SIGINT');
      assert.equal((await ended).code, 130);
    }
  });

  it('says why a service does not start, with its last words, and exits with 1', async () => {
    const script = 'console.error("no such table: users"); process.exit(3)';
    const config = {
      services: {
        api: { command: ['${node}', '-e', script], readiness: { aliveSeconds: 60 }, restart: { policy: 'never' } },
      },
      proxy: { enabled: false },
    };
    await writeFile(join(folder, 'helix.config.json'), JSON.stringify(config));
    const { code, stderr } = await cli('start', '--detach');
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^api failed: .*exited with code 3/m);
    assert.match(stderr, /^ {4}no such table: users$/m);
  });

  it('in the foreground keeps the stack until Ctrl-C, and then stops it', async () => {
    const start = run(['start']);
    let output = '';
    start.stdout!.on('data', (text: Buffer) => (output += text.toString()));
    const ended = finished(start);
    await waitFor('both', () => /^web {2}healthy/m.test(output), { seen: () => output });
    assert.ok((await rows()).every(row => row.state === 'healthy'));
    start.kill('SIGINT');
    assert.equal((await ended).code, 130);
    assert.ok((await rows()).every(row => row.state === 'stopped'));
    await waitFor('the end of all', () => ours().length === 0, { seen: ours });
  });

  it('shows on a terminal one line that moves, and takes it away', async function () {
    if (spawnSync('script', ['--version']).status !== 0) return this.skip();
    // util-linux's way to give a program a terminal of its own; what the terminal got is its output.
    const command = `"${process.execPath}" "${CLI}" start --detach`;
    const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      cwd: folder,
      env: { ...process.env, HELIX_PORTS_HOME: home, TERM: 'xterm' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { code, stdout } = await finished(child);
    assert.equal(code, 0, stdout);
    const clear = '\r\x1b[K';
    assert.ok(stdout.includes(`${clear}1 of 2: waiting for api`), JSON.stringify(stdout));
    const shown = stdout
      .split('\n')
      .map(line => line.slice(line.lastIndexOf(clear) + 1).replace(/^\[K|^\x1b\[K|\r/g, ''));
    assert.deepEqual(
      shown.filter(Boolean).map(line => line.split('  ').slice(0, 2).join(' ')),
      ['api healthy', 'web healthy'],
      JSON.stringify(stdout),
    );
  });
});
