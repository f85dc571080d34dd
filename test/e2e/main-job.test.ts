import assert from 'node:assert/strict';
import { join } from 'node:path';
import { workspaceId } from '../../src/model/workspace-id.ts';
import { screenshotsDir } from '../support/paths.ts';
import { waitFor } from '../support/wait.ts';
import type { Workbench } from '../support/workbench.ts';
import { envFile, isAlive, vsixFile, workspaceSettings, World } from './harness.ts';

/** The main job as a user does it, with the packaged extension in a clean VS Code. */
describe('the main job, from the installed .vsix', () => {
  let world: World;
  let workbench: Workbench;
  let folder: string;

  before(async () => {
    world = await World.create({ vsix: vsixFile });
    folder = await world.demo();
    workbench = await world.open({ folder });
  });

  after(async () => {
    await world?.dispose();
  });

  const shot = (name: string): Promise<void> => workbench.screenshot(join(screenshotsDir, `main-job-${name}.png`));

  it('welcomes with a start button, and offers only the commands that make sense', async () => {
    await workbench.openView('HELIX');
    await workbench.statusBar.item('HELIX');
    await waitFor('the welcome', async () =>
      (await workbench.tree.welcome()).buttons.includes('Start with dynamic ports'),
    );
    const commands = await workbench.commands('HELIX:');
    assert.ok(commands.includes('HELIX: Start with dynamic ports'), commands.join());
    for (const later of ['HELIX: Stop all', 'HELIX: Open API', 'HELIX: Restart all'])
      assert.ok(!commands.includes(later), later);
    await shot('welcome');
  });

  it('starts everything from the palette and shows each port in the status bar', async () => {
    await workbench.runCommand('HELIX: Start with dynamic ports');
    for (const name of ['PostgreSQL', 'API', 'Orchestrator', 'Worker']) {
      await waitFor(`${name} to be healthy`, async () =>
        (await workbench.statusBar.item(new RegExp(`^${name} :\\d+$`))).icons.includes('pass-filled'),
      );
    }
    const { services } = await world.status(folder);
    assert.deepEqual(
      services.map(one => one.state),
      ['healthy', 'healthy', 'healthy', 'healthy', 'healthy'],
    );
    const bands: Readonly<Record<string, readonly [number, number]>> = {
      api: [8000, 8099],
      orchestrator: [8100, 8199],
      worker: [8200, 8299],
    };
    for (const [id, [from, to]] of Object.entries(bands)) {
      const { port } = services.find(one => one.id === id)!;
      assert.ok(port! >= from && port! <= to && port !== 8080, `${id} on ${port}`);
    }
    await workbench.terminals.waitForNames(['PostgreSQL', 'API', 'Orchestrator', 'Worker', 'Proxy']);
    await shot('running');
  });

  it('publishes the very port that answers', async () => {
    const { url: direct, port } = await world.service(folder, 'api');
    const { url } = await world.service(folder, 'proxy');
    const variables = await envFile(folder);
    assert.equal(variables['HELIX_API_URL'], url);
    assert.equal(variables['HELIX_API_DIRECT_URL'], direct);
    assert.equal(variables['API_PORT'], String(port));
    assert.equal((await workspaceSettings(folder))['helix.apiUrl'], url);
    const answer = await fetch(`${variables['HELIX_API_URL']}/api/v1/health`);
    const health = (await answer.json()) as { status: string; components: object };
    assert.equal(health.status, 'healthy');
    assert.ok(health.components);
  });

  it('shows state, URL, pid, uptime and links in the hover', async () => {
    const { pid, url } = await world.service(folder, 'api');
    const hover = await workbench.statusBar.hover(/^API :/);
    for (const part of ['healthy', url!, `PID: ${pid}`, 'Uptime:'])
      assert.ok(hover.text.includes(part), `${part}: ${hover.text}`);
    for (const link of ['Open', 'Restart', 'Stop', 'Terminal']) {
      assert.ok(
        hover.links.some(text => text.includes(link)),
        `${link}: ${hover.links.join()}`,
      );
    }
  });

  it('opens the page from the status bar, and a job submitted there comes out finished', async () => {
    // The address that stays.
    const { port } = await world.service(folder, 'proxy');
    await workbench.statusBar.click(/^API :/);
    const link = await workbench.waitForLink(new RegExp(`:${port}/|/proxy/${port}/`));
    assert.match(link.requested, new RegExp(`/proxy/${port}/`), 'the link did not go through asExternalUri');
    const page = await world.browser.newPage();
    try {
      await page.goto(link.url);
      const found = (): Promise<string | undefined> => page.evaluate(() => window.helixApi.api?.workspace);
      await waitFor('the page to know whose API it has', async () => (await found()) === workspaceId(folder));
      await page.getByRole('textbox').first().fill('a landing page for a bakery in Porto');
      await page
        .getByRole('button', { name: /generate|submit|create/i })
        .first()
        .click();
      await waitFor('the job to be finished', async () => {
        const { jobs } = (await (await fetch(`http://127.0.0.1:${port}/api/v1/jobs`)).json()) as {
          jobs: { status: string }[];
        };
        return jobs.some(job => job.status === 'completed');
      });
      await waitFor('the page to show the result', async () =>
        /bakery/i.test(await page.frameLocator('iframe').first().locator('h1').innerText()),
      );
      await page.screenshot({ path: join(screenshotsDir, 'main-job-page.png') });
    } finally {
      await page.close();
    }
  });

  it('opens the docs and copies the URL', async () => {
    const { port, url } = await world.service(folder, 'proxy');
    await workbench.runCommand('HELIX: Open API docs');
    await workbench.waitForLink(new RegExp(`${port}/docs$`));
    await workbench.runCommand('HELIX: Copy URL');
    await workbench.quickPick(/API/);
    await waitFor('the URL in the clipboard', async () => (await workbench.clipboard()) === url);
  });

  it('restarts on the spot from the tree', async () => {
    const before = await world.service(folder, 'api');
    await workbench.openView('HELIX');
    await workbench.tree.action('API', 'Restart service…');
    const after = await waitFor('the restarted API', async () => {
      const now = await world.service(folder, 'api');
      return now.state === 'healthy' && now.pid !== before.pid && now;
    });
    assert.equal(after.port, before.port);
    assert.ok(!(await isAlive(before.pid!)), 'the old process still runs');
    assert.equal((await fetch(`${(await envFile(folder))['HELIX_API_URL']}/api/v1/health`)).status, 200);
    await workbench.tree.expand('API');
    await workbench.tree.row('Restarts', row => row.description === '1');
    assert.equal((await workbench.tree.row('PID')).description, String(after.pid));
    await shot('tree');
  });

  it('carries on after a reload of the window: same processes, same ports, commands work', async () => {
    const before = await world.status(folder);
    await workbench.reload();
    await workbench.statusBar.item(/^API :/);
    assert.deepEqual(
      (await world.status(folder)).services.map(one => [one.pid, one.port]),
      before.services.map(one => [one.pid, one.port]),
    );
    await workbench.openView('HELIX');
    await workbench.tree.action('Worker', 'Restart service…');
    await waitFor('the restarted worker', async () => (await world.service(folder, 'worker')).restarts === 1);
  });

  it('stays stopped after Ctrl-C in the terminal, whose output stays readable', async () => {
    const { pid } = await world.service(folder, 'worker');
    await workbench.openView('HELIX');
    await workbench.tree.contextMenu('Worker', 'Show terminal');
    await workbench.terminals.press(/Worker|node/, 'Control+C');
    await workbench.terminals.waitForText(/Worker|node/, /stopped\. Enter starts it again/);
    await waitFor('the worker to be stopped', async () => (await world.service(folder, 'worker')).state === 'stopped');
    assert.ok(!(await isAlive(pid!)));
    assert.equal((await envFile(folder))['WORKER_PORT'], undefined);
    await shot('ctrl-c');
  });

  it('is right in the light theme too', async () => {
    await workbench.setTheme('light');
    await shot('light');
    await workbench.setTheme('dark');
  });

  it('stops everything and takes back what it told', async () => {
    const { services } = await world.status(folder);
    await workbench.runCommand('HELIX: Stop all');
    await waitFor('everything to be stopped', async () =>
      (await world.status(folder)).services.every(one => one.state === 'stopped'),
    );
    await workbench.statusBar.item('HELIX');
    for (const { id, pid } of services) if (pid) assert.ok(!(await isAlive(pid)), `${id} still runs`);
    await waitFor(
      'the publications to be taken back',
      async () => (await workspaceSettings(folder))['helix.apiUrl'] === undefined,
    );
    // The services end one after the other, and the file follows each.
    await waitFor('the block to be empty', async () => Object.keys(await envFile(folder)).length === 0, {
      seen: () => envFile(folder),
    });
    await shot('stopped');
  });
});
