import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { BANDS, POSTGRES_PORT, PROXY_PORT } from '../../src/model/defaults.ts';
import { outDir, repoRoot } from '../support/paths.ts';
import { waitFor } from '../support/wait.ts';
import { childrenOf } from './harness.ts';

/** `npm start` itself, without npm's own part: what it prints, and what it leaves. */
describe('npm start', () => {
  let root: string;
  let holders: Server[];

  before(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'helix-start-')));
    // Taken by us where they are free, and by somebody else where they are not.
    holders = await Promise.all([BANDS.api.from, PROXY_PORT, POSTGRES_PORT].map(occupy));
  });

  after(async () => {
    for (const holder of holders) holder.close();
    await rm(root, { recursive: true, force: true });
  });

  async function start(
    args: readonly string[],
    meanwhile: (output: () => string, pid: number) => Promise<void>,
  ): Promise<string> {
    const env = { HELIX_PORTS_HOME: join(root, 'state'), DISPLAY: '', WAYLAND_DISPLAY: '' };
    const program = execa(process.execPath, [join(outDir, 'test', 'support', 'start.cjs'), ...args], {
      env,
      reject: false,
      all: true,
      stdin: 'ignore',
    });
    let output = '';
    program.all.on('data', (chunk: Buffer) => (output += chunk.toString()));
    try {
      await waitFor('the line "ready"', () => /^ready {2}http\S+$/m.test(output), {
        timeout: 120_000,
        seen: () => output,
      });
      await meanwhile(() => output, program.pid!);
    } finally {
      program.kill('SIGINT');
    }
    const result = await program;
    assert.equal(result.exitCode, 0, output);
    return output;
  }

  it('runs the demo although 8000, 8080 and 5432 are taken, says so, and stops all of it on Ctrl-C', async () => {
    const screenshot = join(root, 'workbench.png');
    let children: number[] = [];
    const output = await start(['--screenshot', screenshot], async (_output, pid) => {
      children = await childrenOf(pid, /supervisor\.cjs|server-main|chromium/);
      assert.ok(children.length > 5, `only ${children.length} processes`);
    });
    assert.match(output, new RegExp(`PostgreSQL uses \\d+ rather than ${POSTGRES_PORT} \\(POSTGRES_PORT in `));
    assert.match(output, /^postgres {2}healthy {2}\d+$/m);
    assert.match(output, /^api {2}healthy {2}http:\/\/127\.0\.0\.1:80\d\d$/m);
    assert.match(output, /^orchestrator {2}healthy {2}81\d\d$/m);
    assert.match(output, /^worker {2}healthy {2}82\d\d$/m);
    assert.match(output, /^proxy {2}healthy {2}http:\/\/127\.0\.0\.1:83\d\d$/m);
    assert.doesNotMatch(output, /:8080$|:8000$/m);
    assert.ok(existsSync(screenshot));
    for (const pid of children)
      assert.equal(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''), '', `pid ${pid}`);
  });

  it('opens another folder with --workspace', async () => {
    const folder = join(root, 'stack');
    await cp(join(repoRoot, 'test', 'fixtures', 'stack'), folder, { recursive: true });
    const output = await start(['--workspace', folder], async () => {
      const url = /HELIX_API_URL=(\S+)/.exec(await readFile(join(folder, '.env.local'), 'utf8'))?.[1];
      assert.equal((await fetch(`${url}/`)).status, 200);
    });
    assert.match(output, /^api {2}healthy {2}http:\/\/127\.0\.0\.1:210\d\d$/m);
  });
});

const occupy = (port: number): Promise<Server> =>
  new Promise(resolve => {
    const server = createServer(socket => socket.end('somebody else\n'));
    server.once('error', () => resolve(server));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
