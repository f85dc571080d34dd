import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished, type Finished, repository } from '../../chaos/lab.ts';
import { waitFor } from '../../support/wait.ts';

interface Row {
  readonly id: string;
  readonly state: string;
  readonly url: string | null;
  readonly pid: number | null;
}

describe('stacks that are not HELIX', function () {
  this.timeout(180_000);
  let folder = '';
  let home = '';

  beforeEach(async () => {
    home = await realpath(await mkdtemp(join(tmpdir(), 'helix-other-')));
    folder = join(home, 'workspace');
  });
  afterEach(async () => {
    await cli('stop');
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  });

  const cli = (...args: readonly string[]): Promise<Finished> =>
    finished(
      spawn(process.execPath, [join(repository, 'dist/cli.cjs'), ...args, '--folder', folder], {
        env: { ...process.env, HELIX_PORTS_HOME: join(home, 'state') },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );

  async function start(fixture: string): Promise<ReadonlyMap<string, Row>> {
    await mkdir(folder);
    await cp(join(repository, 'test/fixtures', fixture), folder, { recursive: true });
    await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'), 'junction');
    await writeFile(join(folder, '.env'), 'GREETING=good day\nWHO=everybody\n');
    const { code, stderr } = await cli('start', '--detach');
    assert.equal(code, 0, stderr);
    return rows();
  }

  async function rows(): Promise<ReadonlyMap<string, Row>> {
    const { services } = JSON.parse((await cli('status', '--json')).stdout) as { services: Row[] };
    return new Map(services.map(row => [row.id, row]));
  }

  const text = async (url: string): Promise<string> => (await fetch(url)).text();

  it('Vite in front of Express: each on its own port, each told of the other', async () => {
    const services = await start('vite-express');
    assert.deepEqual(
      [...services.values()].map(({ id, state }) => [id, state]),
      [
        ['backend', 'healthy'],
        ['web', 'healthy'],
      ],
    );
    const [backend, web] = [services.get('backend')!.url!, services.get('web')!.url!];
    assert.match(await text(`${web}/`), /\/@vite\/client.*Not HELIX/s);
    assert.deepEqual(JSON.parse(await text(`${web}/api/hello`)), { hello: 'good day' });
    assert.match(await readFile(join(folder, '.env.local'), 'utf8'), new RegExp(`^VITE_BACKEND_URL=${backend}$`, 'm'));
    assert.equal((await cli('stop')).code, 0);
    await assert.rejects(fetch(web));
    await assert.rejects(fetch(backend));
  });

  it('a shell script without a port: ready by what it says, brought back when it dies', async () => {
    const { state, url, pid } = (await start('shell')).get('ticker')!;
    assert.deepEqual([state, url], ['healthy', null]);
    assert.match((await cli('logs', 'ticker')).stdout, /^ready for everybody$/m);
    process.kill(pid!, 'SIGKILL');
    await waitFor('another process', async () => {
      const row = (await rows()).get('ticker')!;
      return row.state === 'healthy' && row.pid !== pid;
    });
  });
});
