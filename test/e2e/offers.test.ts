import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import getPort from 'get-port';
import { waitFor } from '../support/wait.ts';
import type { Workbench } from '../support/workbench.ts';
import { envFile, isAlive, workspaceSettings, World, writeText } from './harness.ts';

const START = 'HELIX: Start with dynamic ports';
const STOP = 'HELIX: Stop all';
const WHO = 'HELIX: Who has my port?';
/** A user of every Unix that is nobody's own. */
const NOBODY = 65_534;

describe('what HELIX offers in the editor, and does only when it is told to', () => {
  let world: World;
  const strangers: ChildProcess[] = [];

  before(async () => {
    world = await World.create();
  });
  afterEach(() => {
    for (const child of strangers.splice(0)) child.kill('SIGKILL');
  });
  after(() => world?.dispose());

  /** A process that listens and has nothing to do with HELIX. */
  async function stranger(uid?: number): Promise<{ pid: number; port: number }> {
    const script =
      'const server = require("node:net").createServer();' +
      'server.listen(0, "127.0.0.1", () => console.log(server.address().port));';
    const user = uid === undefined ? {} : { uid, gid: uid, cwd: '/' };
    const options = { detached: true, ...user };
    const child = spawn(process.execPath, ['-e', script], { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
    strangers.push(child);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { pid: child.pid!, port: Number(line.toString()) };
  }

  async function ask(workbench: Workbench, port: number): Promise<{ message: string; buttons: readonly string[] }> {
    await workbench.notifications.clear();
    await workbench.runCommand(WHO);
    await workbench.inputBox(String(port));
    return workbench.notifications.waitFor(new RegExp(`Port ${port} is`));
  }

  describe('HELIX: Who has my port?', () => {
    let workbench: Workbench;
    let folder: string;

    before(async () => {
      folder = await world.fixture('stack');
      workbench = await world.open({ folder });
    });
    after(() => workbench?.dispose());

    it('stops a process of the user’s own, but asks before', async () => {
      const { pid, port } = await stranger();
      const { message, buttons } = await ask(workbench, port);
      assert.match(message, /in use by a process that is not HELIX’s/);
      assert.deepEqual(buttons, ['Stop it', 'Copy']);
      await workbench.notifications.click(new RegExp(`Port ${port} is`), 'Stop it');
      const question = await waitFor('the question', () => workbench.dialog());
      assert.match(question.message, new RegExp(`Stop the process on port ${port}\\?`));
      assert.match(question.message, new RegExp(`pid +${pid}\\b`));
      await workbench.clickDialogButton('Cancel');
      await waitFor('the end of the question', async () => (await workbench.dialog()) === undefined);
      assert.ok(await isAlive(pid), 'nothing was ended before the answer, nor by a "no"');

      await ask(workbench, port);
      await workbench.notifications.click(new RegExp(`Port ${port} is`), 'Stop it');
      await workbench.clickDialogButton('Stop it');
      await workbench.notifications.waitFor(new RegExp(`Port ${port} was freed`));
      assert.equal(await isAlive(pid), false);
    });

    it('offers to stop nothing that is another user’s, and nothing where nobody is', async function () {
      const free = await ask(workbench, await getPort());
      assert.deepEqual(free.buttons, []);
      assert.match(free.message, /is free/);
      if (process.getuid?.() !== 0) {
        this.test!.title += ' (another user: skipped, as only root can be somebody else)';
        return;
      }
      const { pid, port } = await stranger(NOBODY);
      const { message, buttons } = await ask(workbench, port);
      assert.match(message, /yours: no/);
      assert.deepEqual(buttons, ['Copy']);
      await workbench.notifications.click(new RegExp(`Port ${port} is`), 'Copy');
      await waitFor('the copy', async () => new RegExp(`pid +${pid}\\b`).test(await workbench.clipboard()));
      assert.ok(await isAlive(pid));
    });

    it('stops a service by its supervisor, so that it stays stopped', async () => {
      await workbench.runCommand(START);
      await waitFor('the API', async () => (await world.service(folder, 'api')).state === 'healthy');
      const { port, pid } = await world.service(folder, 'api');
      const { message } = await ask(workbench, port!);
      assert.match(message, /in use by a HELIX service/);
      await workbench.notifications.click(new RegExp(`Port ${port} is`), 'Stop it');
      await workbench.clickDialogButton('Stop it');
      await workbench.notifications.waitFor(new RegExp(`Port ${port} was freed`));
      assert.equal((await world.service(folder, 'api')).state, 'stopped');
      assert.equal(await isAlive(pid!), false);
      await workbench.runCommand(STOP);
    });
  });

  describe('an .env.local that git would take along', () => {
    const OFFER = /\.env\.local is not ignored by git/;
    const ADD = 'Add .env.local to .gitignore';

    before(async function () {
      const { failed } = await execa('git', ['--version'], { reject: false });
      if (!failed) return;
      for (const test of this.test?.parent?.tests ?? []) test.title += ' (skipped: there is no git)';
      this.skip();
    });

    async function repository(fixture: string): Promise<string> {
      const folder = await world.fixture(fixture);
      await execa('git', ['init', '--quiet', folder]);
      return folder;
    }

    const isPublished = async (folder: string): Promise<boolean> => 'API_PORT' in (await envFile(folder));

    /** A whole run: what is published last comes after whatever there was to say about the first. */
    async function startAndStop(workbench: Workbench, folder: string): Promise<void> {
      await workbench.runCommand(START);
      await waitFor('the publication', () => isPublished(folder), { seen: () => envFile(folder) });
      await workbench.runCommand(STOP);
      await waitFor('its end', async () => !(await isPublished(folder)), { seen: () => envFile(folder) });
    }

    it('is said once in a workspace, and nothing is changed unasked', async () => {
      const folder = await repository('multi/one');
      const workbench = await world.open({ folder });
      await startAndStop(workbench, folder);
      assert.deepEqual((await workbench.notifications.waitFor(OFFER)).buttons, [ADD]);
      await workbench.notifications.clear();
      await startAndStop(workbench, folder);
      await workbench.reload();
      await startAndStop(workbench, folder);
      const said = (await workbench.notifications.kept()).filter(one => OFFER.test(one.message));
      assert.deepEqual(said, []);
      await assert.rejects(readFile(join(folder, '.gitignore')), /ENOENT/);
      await workbench.dispose();
    });

    it('is added to .gitignore when the user says so', async () => {
      const folder = await repository('multi/two');
      const workbench = await world.open({ folder });
      await workbench.runCommand(START);
      await workbench.notifications.click(OFFER, ADD);
      const read = (): Promise<string> => readFile(join(folder, '.gitignore'), 'utf8');
      await waitFor('the line', async () => (await read()) === '/.env.local\n', { seen: read });
      await execa('git', ['-C', folder, 'check-ignore', '--quiet', '.env.local']);
      await workbench.dispose();
    });
  });

  describe('a proxy that is not where everybody looks for it', () => {
    const SAID = /keeps the address http:\/\/127\.0\.0\.1:\d+/;

    it('is told of once, with who has that port, and not again after a reload', async () => {
      const { pid, port } = await stranger();
      const folder = await world.fixture('shell');
      await writeText(folder, 'helix.config.json', JSON.stringify(frontedConfig(port)));
      const workbench = await world.open({ folder });
      const isPublished = async (): Promise<boolean> => 'helix.apiUrl' in (await workspaceSettings(folder));
      const stop = async (): Promise<void> => {
        await workbench.runCommand(STOP);
        await waitFor('the end of all', async () => {
          const [proxy, api] = await Promise.all(['proxy', 'api'].map(id => world.service(folder, id)));
          return proxy!.state === 'stopped' && api!.state === 'stopped' && !(await isPublished());
        });
      };
      // What there is to say is said after the settings are written, and only while the proxy is there.
      const startAndStop = async (): Promise<void> => {
        await workbench.runCommand(START);
        await waitFor('the address in the settings', isPublished);
        await stop();
      };
      await workbench.runCommand(START);
      const { message } = await workbench.notifications.waitFor(SAID);
      assert.match(message, new RegExp(`${port} is taken by .*\\b${pid}\\b`));
      await workbench.notifications.clear();
      await stop();
      await startAndStop();
      await workbench.reload();
      await startAndStop();
      const said = (await workbench.notifications.kept()).filter(one => SAID.test(one.message));
      assert.deepEqual(said, []);
      await workbench.dispose();
    });
  });
});

const frontedConfig = (port: number): object => ({
  services: {
    api: {
      command: [
        '${node}',
        '-e',
        'require("http").createServer((_, answer) => answer.end()).listen(process.env.PORT, "127.0.0.1")',
      ],
      env: { PORT: '${port}' },
      port: { from: 21_300, to: 21_399 },
    },
  },
  proxy: { port },
});
