import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished, repository, type Row } from '../../chaos/lab.ts';
import { hasTerminals, ProgramInTerminal } from '../../support/terminal.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, freeBand, HEALTH, SERVICES } from '../run/harness.ts';

const CLI = join(repository, 'dist/cli.cjs');

describe('helix-ports status --watch', function () {
  this.timeout(240_000);
  const cleanup = new Cleanup();
  let folder = '';
  let env: NodeJS.ProcessEnv = {};

  beforeEach(async function () {
    if (process.platform !== 'linux') return this.skip();
    const root = await cleanup.folder();
    folder = join(root, 'workspace');
    env = { HELIX_PORTS_HOME: join(root, 'home') };
    await mkdir(folder);
    const { from, to } = await freeBand(10);
    const api = {
      command: ['${node}', '-e', SERVICES.http],
      env: { PORT: '${port}' },
      port: { from, to },
      readiness: { http: HEALTH.path, expect: HEALTH.expect },
    };
    const idle = { command: ['${node}', '-e', 'setInterval(() => {}, 1e6)'], readiness: { aliveSeconds: 0.1 } };
    const config = { services: { api, idle }, proxy: { enabled: false } };
    await writeFile(join(folder, 'helix.config.json'), JSON.stringify(config));
    cleanup.add(async () => void (await cli('stop')));
  });

  afterEach(() => cleanup.run());

  const run = (...args: readonly string[]): ChildProcess =>
    spawn(process.execPath, [CLI, ...args], {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  const cli = (...args: readonly string[]): ReturnType<typeof finished> => finished(run(...args));

  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await cli(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  const row = async (): Promise<Row> => (JSON.parse(await ok('status', '--json')) as { services: [Row] }).services[0];

  it('is on a terminal a table that follows, fits, and leaves nothing behind', async function () {
    if (!hasTerminals()) return this.skip();
    const program = new ProgramInTerminal(`echo before; "${process.execPath}" "${CLI}" status --watch`, {
      cwd: folder,
      env,
      columns: 100,
      rows: 12,
    });
    cleanup.add(() => Promise.resolve(program.dispose()));
    const shows = (what: string, patterns: readonly RegExp[]): Promise<unknown> =>
      waitFor(
        what,
        () => {
          const { lines } = program;
          return lines.length === patterns.length && patterns.every((pattern, index) => pattern.test(lines[index]!));
        },
        { seen: () => program.lines },
      );

    await shows('what does not run', [
      /^SERVICE {2}STATE +PORT {2}URL {2}PID {2}UPTIME {2}RESTARTS$/,
      /^api +stopped +- +- +- +- +0$/,
      /^idle +stopped +- +- +- +- +0$/,
    ]);
    assert.equal(program.buffer, 'alternate');
    await ok('start', '--detach');
    const { port, url, pid } = await row();
    const healthy = new RegExp(`^api +healthy +${port} +${url} +${pid} +\\d.* +0$`);
    await shows('what runs', [/^SERVICE/, healthy, /^idle +healthy +- +- +\d+ +\d.* +0$/]);
    const shown = program.output;
    await ok('restart', 'api');
    await shows('the restart', [/^SERVICE/, /^api +healthy .* 1$/, /^idle +healthy .* 0$/]);
    // Lines are written over where they stand: a screen that is cleared for each change flickers.
    assert.doesNotMatch(program.output.slice(shown.length), /\x1b\[2J/);

    await program.resize(40, 12);
    await shows('the narrow table', [
      /^SERVICE {2}STATE +PORT +UPTIME$|^SERVICE {2}STATE +PORT +PID +UPTIME$/,
      new RegExp(`^api +healthy +${port} .*\\d .*$`),
      /^idle +healthy +- .*\d .*$/,
    ]);
    await program.resize(100, 3);
    await shows('the low table', [/^SERVICE.*RESTARTS$/, /^… and 2 more$/]);
    await program.resize(100, 12);

    await ok('stop');
    await shows('the end', [/^SERVICE/, /^api +stopped +- +- +- +- +0$/, /^idle +stopped +- +- +- +- +0$/]);
    program.type('\x03');
    assert.equal(await program.ended(), 130);
    assert.equal(program.buffer, 'normal');
    assert.ok(program.output.lastIndexOf('\x1b[?25h') > program.output.lastIndexOf('\x1b[?25l'), 'no cursor');
    const { lines } = program;
    assert.equal(lines.filter(line => line.startsWith('SERVICE')).length, 1, lines.join('\n'));
    assert.ok(lines.includes('before'));
    assert.match(lines.at(-1)!, /^idle +stopped/);
  });

  it('is in a pipe a plain line for each change, and with --json an object', async () => {
    const watching = [run('status', '--watch'), run('status', '--watch', '--json')];
    const [plain, json] = watching.map(child => {
      const said = { text: '' };
      child.stdout!.on('data', (text: Buffer) => (said.text += text.toString()));
      return said;
    }) as [{ text: string }, { text: string }];
    await waitFor('the beginning', () => plain.text.includes('idle') && json.text.includes('idle'));
    assert.equal(plain.text, 'api  stopped  -  -  -  0\nidle  stopped  -  -  -  0\n');
    await ok('start', '--detach');
    const { port, url, pid } = await row();
    const line = `api  healthy  ${port}  ${url}  ${pid}  0`;
    const objects = (): Row[][] =>
      json.text
        .split('\n')
        .slice(0, -1)
        .map(text => (JSON.parse(text) as { services: Row[] }).services);
    await waitFor('the start', () => plain.text.split('\n').includes(line), { seen: () => plain.text });
    await waitFor('the start in JSON', () => objects().some(([api]) => api?.state === 'healthy' && api.pid === pid));
    await ok('stop');
    await waitFor(
      'the stop',
      () => plain.text.split('\n').filter(one => one === 'api  stopped  -  -  -  0').length > 1,
    );
    await waitFor('the stop in JSON', () =>
      objects()
        .at(-1)!
        .every(({ state }) => state === 'stopped'),
    );
    assert.doesNotMatch(plain.text, /\x1b/);
    // One that says the same as the one before tells no change.
    const texts = objects().map(one => JSON.stringify(one));
    assert.ok(texts.every((text, index) => text !== texts[index - 1]));
    for (const child of watching) {
      const end = finished(child);
      child.kill('SIGINT');
      assert.equal((await end).code, 130);
    }
  });
});
