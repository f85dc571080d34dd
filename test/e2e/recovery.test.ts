import assert from 'node:assert/strict';
import { waitFor } from '../support/wait.ts';
import type { Workbench } from '../support/workbench.ts';
import { childrenOf, envFile, isAlive, type Status, workspaceSettings, World } from './harness.ts';

/** The editor is not the life-support: services outlive the extension host, and are found again. */
describe('recovery in the editor', () => {
  let world: World;
  let workbench: Workbench;
  let folder: string;

  before(async () => {
    world = await World.create();
    folder = await world.fixture('stack');
    workbench = await world.open({ folder });
    await workbench.runCommand('HELIX: Start with dynamic ports');
    await healthy();
  });

  after(async () => {
    await world?.dispose();
  });

  const healthy = (): Promise<Status['services']> =>
    waitFor('all services to be healthy', async () => {
      const { services } = await world.status(folder);
      return services.every(service => service.state === 'healthy') && services;
    });

  const processes = (services: Status['services']): unknown => services.map(({ id, pid, port }) => ({ id, pid, port }));

  it('kill -9 of the extension host: same pids and ports, found again, commands work', async () => {
    const before = await healthy();
    const hosts = await childrenOf(world.vscode.pid, /type=extensionHost/);
    assert.ok(hosts.length > 0, 'no extension host was found');
    for (const pid of hosts) process.kill(pid, 'SIGKILL');
    await waitFor('a new extension host', async () => {
      const now = await childrenOf(world.vscode.pid, /type=extensionHost/);
      return now.length > 0 && now.every(pid => !hosts.includes(pid));
    });
    await workbench.statusBar.item(/^API :\d+$/);
    assert.deepEqual(processes(await healthy()), processes(before));
    await workbench.notifications.clear();
    await workbench.openView('HELIX');
    await workbench.tree.action('Worker', 'Restart service…');
    await waitFor('the restarted worker', async () => (await world.service(folder, 'worker')).restarts === 1);
    assert.equal((await workspaceSettings(folder))['helix.apiUrl'], (await world.service(folder, 'proxy')).url);
  });

  it('a terminal is found by its process after a reload', async () => {
    const before = await healthy();
    await workbench.reload();
    await workbench.statusBar.item(/^API :\d+$/);
    assert.deepEqual(processes(await healthy()), processes(before));
    await workbench.openView('HELIX');
    await workbench.tree.contextMenu('API', 'Show terminal');
    await waitFor('the API’s terminal', async () => /listening/.test(await workbench.terminals.shownText()));
  });

  it('two windows on one folder share one stack: each shows it, either restarts and stops it', async () => {
    const second = await world.open({ folder });
    const { port } = await world.service(folder, 'api');
    await second.statusBar.item(`API :${port}`);
    await second.runCommand('HELIX: Start with dynamic ports');
    const before = await healthy();
    await second.openView('HELIX');
    await second.tree.action('API', 'Restart service…');
    const after = await waitFor('the restarted API', async () => {
      const api = await world.service(folder, 'api');
      return api.state === 'healthy' && api.pid !== before.find(one => one.id === 'api')!.pid && api;
    });
    assert.equal(after.port, port);
    await second.runCommand('HELIX: Stop all');
    await workbench.statusBar.item('HELIX');
    await second.statusBar.item('HELIX');
    assert.equal(await isAlive(after.pid!), false);
    await second.dispose();
  });

  it('shows, restarts and stops what the command line started', async () => {
    assert.equal((await world.cli('start', '--detach', '--folder', folder)).exitCode, 0);
    const { port, pid } = await world.service(folder, 'api');
    await workbench.statusBar.item(`API :${port}`);
    await workbench.openView('HELIX');
    await workbench.tree.action('API', 'Restart service…');
    await waitFor('the restarted API', async () => (await world.service(folder, 'api')).pid !== pid);
    await healthy();
    await workbench.runCommand('HELIX: Stop all');
    await waitFor('everything to be stopped', async () =>
      (await world.status(folder)).services.every(service => service.state === 'stopped'),
    );
    await waitFor('the block to be emptied', async () => (await envFile(folder))['API_PORT'] === undefined);
  });
});
