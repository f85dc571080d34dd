import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished, type Finished, repository } from '../../chaos/lab.ts';

const CONFIG = {
  services: {
    api: { command: ['${node}', '-e', '0'], readiness: { aliveSeconds: 1 }, port: { from: 18100, to: 18199 } },
  },
};

describe('helix-ports', function () {
  this.timeout(60_000);
  let folder = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'helix-cli-'));
    await writeFile(join(folder, 'helix.config.json'), JSON.stringify(CONFIG));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const cli = (...args: readonly string[]): Promise<Finished> =>
    finished(
      spawn(process.execPath, [join(repository, 'dist/cli.cjs'), ...args], {
        cwd: folder,
        env: { ...process.env, HELIX_PORTS_HOME: join(folder, 'home') },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );

  async function refuses(args: readonly string[], code: number, stderr: RegExp): Promise<void> {
    const result = await cli(...args);
    assert.equal(result.code, code, result.stderr);
    assert.equal(result.stdout, '');
    assert.match(result.stderr, stderr);
  }

  it('find prints one free port and nothing else', async () => {
    for (const [args, from, to] of [
      [['find'], 8000, 8099],
      [['find', 'worker'], 8200, 8299],
      [['find', '18000', '18099'], 18_000, 18_099],
      [['find', '18000', '18099', 'mine'], 18_000, 18_099],
    ] as const) {
      const { code, stdout, stderr } = await cli(...args);
      assert.equal(code, 0, stderr);
      assert.equal(stderr, '');
      assert.match(stdout, /^\d+\n$/);
      assert.ok(Number(stdout) >= from && Number(stdout) <= to, stdout);
    }
  });

  it('find exits with 1 and says who has the ports when all are taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await refuses(
      ['find', String(port), String(port)],
      1,
      new RegExp(`${port}.*pid ${process.pid}.* name a wider range`, 's'),
    );
    server.close();
  });

  it('tells wrong words with exit code 2', async () => {
    const hint = /^helix-ports: .+\nTry 'helix-ports --help'\.\n$/;
    for (const args of [
      [],
      ['nonsense'],
      ['find', '8000'],
      ['find', '0', '70000'],
      ['find', '20', '10'],
      ['find', '1e3', '2e3'],
      ['find', '1', '2', 'x', 'more'],
      ['find', '--json'],
      ['status', '--nonsense'],
      ['logs'],
      ['logs', 'api', '--lines', 'many'],
      ['history', '--json', '--csv'],
    ]) {
      await refuses(args, 2, hint);
    }
  });

  it('says of a --folder that is none that it is none', async () => {
    for (const place of [join(folder, 'helix.config.json'), join(folder, 'nowhere')]) {
      await refuses(['status', '--folder', place], 1, /^helix-ports: .* is not a folder\. Name .* with --folder\.\n$/);
    }
  });

  it('prints help and version', async () => {
    const help = await cli('--help');
    assert.equal(help.code, 0);
    for (const word of [
      'find',
      'start',
      'stop',
      'restart',
      'status',
      'url',
      'logs',
      'history',
      'dashboard',
      'verify',
      'env',
      'who',
      'doctor',
      'exit codes',
    ]) {
      assert.ok(help.stdout.includes(word), word);
    }
    const { version } = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as { version: string };
    assert.deepEqual(await cli('--version'), { code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('answers for a stack that does not run', async () => {
    const status = await cli('status', '--json');
    assert.equal(status.code, 0, status.stderr);
    const { services } = JSON.parse(status.stdout) as { services: object[] };
    const stopped = { state: 'stopped', port: null, url: null, pid: null, restarts: 0 };
    assert.deepEqual(services, [
      { id: 'api', ...stopped },
      { id: 'proxy', ...stopped },
    ]);
    const none = { code: 0, stdout: 'service,time,latencyMs,outcome,port,reason\n', stderr: '' };
    assert.deepEqual(await cli('history', '--csv'), none);
    const json = await cli('history', 'api', '--json');
    assert.deepEqual((JSON.parse(json.stdout) as { services: object[] }).services, [
      { id: 'api', dropped: 0, checks: [], restarts: [] },
    ]);
    assert.deepEqual(await cli('env'), { code: 0, stdout: '', stderr: '' });
    assert.deepEqual(await cli('stop'), { code: 0, stdout: '', stderr: '' });
    const verified = await cli('verify', '--json');
    assert.equal(verified.code, 1, verified.stderr);
    const { results } = JSON.parse(verified.stdout) as { results: { id: string; outcome: string }[] };
    assert.deepEqual(
      results.map(one => one.outcome),
      ['passed', 'failed', 'failed', 'failed', 'skipped', 'skipped'],
    );
    await refuses(['url'], 1, /^helix-ports: api has no address: it is stopped\n$/);
    await refuses(['logs', 'api'], 1, /there is no log yet/);
    await refuses(['history', 'nobody'], 1, /no service "nobody"/);
    await refuses(['restart', 'nobody'], 1, /no service "nobody"; there are api/);
  });

  it('does not pass a full disk off as success', async function () {
    if (!existsSync('/dev/full')) return this.skip();
    const child = spawn('/bin/sh', [
      '-c',
      '"$0" "$1" find > /dev/full',
      process.execPath,
      join(repository, 'dist/cli.cjs'),
    ]);
    assert.equal((await finished(child)).code, 1);
  });
});
