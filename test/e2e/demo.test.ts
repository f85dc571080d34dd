import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { screenshotsDir } from '../support/paths.ts';
import { waitFor } from '../support/wait.ts';
import { vsixFile, World } from './harness.ts';

/** With the packaged extension, beside which there are no node_modules: what the demo needs comes after asking. */
describe('the demo from the installed .vsix', () => {
  let world: World;

  before(async () => {
    world = await World.create({ vsix: vsixFile, settings: { 'helix.postgres.engine': 'embedded' } });
  });

  after(async () => {
    await world?.dispose();
  });

  it('is created in a folder of the user’s choice and opened', async () => {
    const parent = join(world.root, 'projects');
    await mkdir(parent);
    const workbench = await world.open();
    await workbench.runCommand('HELIX: Open the demo workspace');
    await workbench.inputBox(`${parent}/`);
    // The dialog takes no answer while it is still reading the folder.
    const create = workbench.page.getByText('Create the HELIX demo here');
    await waitFor(
      'the demo to be opened',
      async () => {
        if (await create.isVisible()) await create.click({ timeout: 1_000 });
        return /helix-demo/.test(await workbench.page.title());
      },
      { interval: 1_000 },
    );
    const folder = join(parent, 'helix-demo');
    assert.match(await readFile(join(folder, '.env'), 'utf8'), /POSTGRES_PASSWORD=\S+/);
    assert.ok(existsSync(join(folder, 'services', 'api.cjs')));
    await workbench.dispose();
  });

  it('fetches PostgreSQL into its own storage after asking, and not without', async () => {
    const folder = await world.demo();
    const workbench = await world.open({ folder });
    await workbench.runCommand('HELIX: Start with dynamic ports');
    await waitFor('the question', async () => (await workbench.dialog())?.buttons.includes('Fetch PostgreSQL'));
    await workbench.screenshot(join(screenshotsDir, 'demo-fetch.png'));
    await workbench.clickDialogButton('Cancel');
    await workbench.notifications.waitFor(/PostgreSQL failed: PostgreSQL is not installed, and was not fetched/);
    await workbench.notifications.clear();
    await workbench.runCommand('HELIX: Start with dynamic ports');
    await workbench.clickDialogButton('Fetch PostgreSQL');
    await waitFor('all services to be healthy', async () =>
      (await world.status(folder)).services.every(service => service.state === 'healthy'),
    );
    await workbench.terminals.waitForText('PostgreSQL', /starting PostgreSQL 18|PostgreSQL 18/i);
    await workbench.runCommand('HELIX: Stop all');
    await waitFor('everything to be stopped', async () =>
      (await world.status(folder)).services.every(service => service.state === 'stopped'),
    );
    await workbench.dispose();
  });
});
