import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'dotenv';
import type { Band } from '../../../src/model/port.ts';
import { finished, repository, type Row } from '../../chaos/lab.ts';
import { type Process, processes } from '../../chaos/proc.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, freeBand, HEALTH, SERVICES } from '../run/harness.ts';

const CLI = join(repository, 'dist/cli.cjs');

interface Changes {
  /** Names to publish, each as the API's address. */
  readonly names?: readonly string[];
  readonly api?: object;
}

/** Whoever keeps a stack follows the folder's files: what changes there counts without a start of anything. */
describe('whoever keeps a stack', function () {
  this.timeout(300_000);
  const cleanup = new Cleanup();
  let folder = '';
  let home = '';
  let port: Band;

  beforeEach(async function () {
    if (process.platform !== 'linux') return this.skip();
    const root = await cleanup.folder();
    [folder, home] = [join(root, 'workspace'), join(root, 'home')];
    await mkdir(folder);
    port = await freeBand(5);
    await configure({});
    cleanup.add(async () => {
      await configure({});
      await finished(run('stop'));
      for (const { pid } of ours()) process.kill(pid, 'SIGKILL');
    });
  });

  afterEach(() => cleanup.run());

  const write = (text: string): Promise<void> => writeFile(join(folder, 'helix.config.json'), text);

  function configure({ names = [], api = {} }: Changes): Promise<void> {
    const service = {
      command: ['${node}', '-e', SERVICES.http],
      env: { PORT: '${port}' },
      port,
      readiness: { http: HEALTH.path, expect: HEALTH.expect },
      ...api,
    };
    const published = Object.fromEntries(names.map(name => [name, '${url:api}']));
    return write(
      JSON.stringify({ services: { api: service }, proxy: { enabled: false }, publish: { names: published } }),
    );
  }

  const ours = (): Process[] =>
    processes().filter(one => one.pid !== process.pid && one.environment.includes(`HELIX_PORTS_HOME=${home}`));
  const keepers = (): Process[] => ours().filter(one => one.command.includes('keep'));

  const run = (...args: readonly string[]): ChildProcess =>
    spawn(process.execPath, [CLI, ...args], {
      cwd: folder,
      env: { ...process.env, HELIX_PORTS_HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await finished(run(...args));
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  const api = async (): Promise<Row> =>
    (JSON.parse(await ok('status', '--json')) as { services: Row[] }).services.find(one => one.id === 'api')!;

  const envFile = (): Promise<string> => readFile(join(folder, '.env.local'), 'utf8');
  const published = async (): Promise<Record<string, string>> => parse(await envFile());
  const untilPublished = (name: string): Promise<unknown> =>
    waitFor(`${name} in .env.local`, async () => name in (await published()), { seen: envFile });

  /** On a slow machine it has gone already, and the next one takes its place. */
  const send = ({ pid, started }: Process, signal: NodeJS.Signals): void => {
    if (keepers().some(one => one.pid === pid && one.started === started)) process.kill(pid, signal);
  };

  const untilOneKeeper = (): Promise<unknown> =>
    waitFor('one keeper', () => keepers().length === 1, { seen: () => keepers().map(({ command }) => command) });

  /** It does not tell when it begins to watch, so the file is saved until somebody has seen it. */
  async function saveUntilRestarted(file: string): Promise<void> {
    const { pid } = await api();
    const isRestarted = async (): Promise<boolean> => {
      await writeFile(join(folder, file), String(Math.random()));
      const now = await api();
      return now.state === 'healthy' && now.pid !== pid;
    };
    await waitFor(`a restart because of ${file}`, isRestarted, { interval: 1_000, seen: api });
  }

  /** Kills the API's supervisor, and answers the API's process once it was brought back. */
  async function killSupervisor(): Promise<Process> {
    const { pid } = await api();
    process.kill(ours().find(one => one.pid === pid)!.ppid, 'SIGKILL');
    const present = async (): Promise<Process | false> => {
      const now = await api();
      return now.state === 'healthy' && now.pid !== pid && ours().find(one => one.pid === now.pid)!;
    };
    return waitFor('the API to be brought back', present, { seen: api });
  }

  describe('detached', () => {
    it('publishes, watches and brings back by the configuration as it is now', async () => {
      await ok('start', '--detach');
      await configure({
        names: ['VITE_FOO'],
        api: { watch: ['*.mjs'], env: { PORT: '${port}', GREETING: '${env:GREETING}' } },
      });
      await untilPublished('VITE_FOO');
      await saveUntilRestarted('api.mjs');
      await writeFile(join(folder, '.env'), 'GREETING=hello');
      await configure({
        names: ['VITE_BAR'],
        api: { watch: ['*.cjs'], env: { PORT: '${port}', GREETING: '${env:GREETING}' } },
      });
      await untilPublished('VITE_BAR');
      assert.ok(!('VITE_FOO' in (await published())));
      await saveUntilRestarted('api.cjs');
      assert.ok((await killSupervisor()).environment.includes('GREETING=hello'));
    });

    it('goes on with the last plan while the file cannot be used', async () => {
      await ok('start', '--detach');
      await configure({ names: ['VITE_FOO'] });
      await untilPublished('VITE_FOO');
      for (const spoil of [() => write('{ "services": '), () => rm(join(folder, 'helix.config.json'))]) {
        await spoil();
        await writeFile(join(folder, '.env.local'), '');
        await untilPublished('VITE_FOO');
      }
      await configure({ names: ['VITE_BAR'] });
      await untilPublished('VITE_BAR');
    });

    it('that outlives a stop because of the next start goes by what that start went by', async () => {
      await ok('start', '--detach');
      await untilOneKeeper();
      await ok('stop');
      await configure({ names: ['VITE_FOO'], api: { env: { PORT: '${port}', GREETING: 'hello' } } });
      await ok('start', '--detach');
      await untilOneKeeper();
      await untilPublished('VITE_FOO');
      assert.ok((await killSupervisor()).environment.includes('GREETING=hello'));
    });

    it('does not go while another one relies on it', async () => {
      await ok('start', '--detach');
      await untilOneKeeper();
      const [keeper] = keepers() as [Process];
      await ok('stop');
      // It is about to go, and hears of the start only after the start's own keeper has given up.
      send(keeper, 'SIGSTOP');
      await ok('start', '--detach');
      await untilOneKeeper();
      send(keeper, 'SIGCONT');
      await killSupervisor();
      await untilPublished('HELIX_API_URL');
    });

    it('and is killed is replaced by the next start, which publishes by the present configuration', async () => {
      await ok('start', '--detach');
      await untilOneKeeper();
      process.kill(keepers()[0]!.pid, 'SIGKILL');
      await waitFor('its end', () => keepers().length === 0);
      await configure({ names: ['VITE_FOO'] });
      await ok('start', '--detach');
      await untilOneKeeper();
      await configure({ names: ['VITE_BAR'] });
      await untilPublished('VITE_BAR');
      await killSupervisor();
    });
  });

  it('in the foreground does the same, and says what is wrong with the file', async () => {
    const start = run('start');
    let [output, errors] = ['', ''];
    start.stdout!.on('data', (text: Buffer) => (output += text.toString()));
    start.stderr!.on('data', (text: Buffer) => (errors += text.toString()));
    const ended = finished(start);
    await waitFor('the API', () => /^api {2}healthy/m.test(output), { seen: () => output + errors });
    await configure({ names: ['VITE_FOO'], api: { watch: ['*.mjs'] } });
    await untilPublished('VITE_FOO');
    await saveUntilRestarted('api.mjs');
    await write('{ "services": ');
    await waitFor('what is wrong', () => /helix\.config\.json:1:\d+: /.test(errors), { seen: () => errors });
    await configure({ names: ['VITE_BAR'] });
    await untilPublished('VITE_BAR');
    start.kill('SIGINT');
    assert.equal((await ended).code, 130);
    assert.deepEqual(await published(), {});
  });
});
