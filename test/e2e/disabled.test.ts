import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'dotenv';
import { waitFor } from '../support/wait.ts';
import { isAlive, type Status, World } from './harness.ts';

/** The counterpart of recovery: nobody looks after the services any more, so they must not stay for ever. */
describe('the extension disabled', () => {
  let world: World;

  before(async () => {
    world = await World.create({ env: { HELIX_PORTS_GRACE_MS: '5000' } });
  });

  after(() => world?.dispose());

  it('ends the services in its terminals, leaves no supervisor, and takes back what was published', async () => {
    const folder = await world.fixture('stack');
    const workbench = await world.open({ folder });
    await workbench.runCommand('HELIX: Start with dynamic ports');
    const services = await waitFor('all services to be healthy', async (): Promise<Status['services'] | false> => {
      const { services: all } = await world.status(folder);
      return all.every(service => service.state === 'healthy') && all;
    });
    assert.ok(services.length > 0);
    const envFile = join(folder, '.env.local');
    await waitFor('its port in .env.local', async () => 'API_PORT' in parse(await readFile(envFile).catch(() => '')));
    await workbench.runCommand('Extensions: Disable All Installed Extensions');
    // Running extensions end with their host; the new one begins without them.
    await workbench.reload();
    await waitFor('the end of the services', async () => {
      const alive = await Promise.all(services.map(({ pid }) => isAlive(pid!)));
      return !alive.includes(true);
    });
    await waitFor('the end of their supervisors', async () => {
      const { services: all } = await world.status(folder);
      return all.every(service => service.state === 'stopped' && service.pid === null);
    });
    await waitFor('what was published to be taken back', async () => {
      const { API_PORT, HELIX_API_URL } = parse(await readFile(envFile));
      return API_PORT === undefined && HELIX_API_URL === undefined;
    });
  });
});
