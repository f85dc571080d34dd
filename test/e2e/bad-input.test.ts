import assert from 'node:assert/strict';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { screenshotsDir } from '../support/paths.ts';
import { waitFor } from '../support/wait.ts';
import { envFile, workspaceSettings, World, writeText } from './harness.ts';

const LISTENER =
  "require('node:http').createServer((_, response) => response.end()).listen(Number(process.env.PORT), '127.0.0.1')";
const START = 'HELIX: Start with dynamic ports';

describe('bad input: one clear message with the next step', () => {
  let world: World;

  before(async () => {
    world = await World.create();
  });

  after(async () => {
    await world?.dispose();
  });

  it('no workspace folder', async () => {
    const workbench = await world.open();
    await workbench.runCommand(START);
    const { buttons } = await workbench.notifications.waitFor(/Open a folder with a HELIX first/);
    assert.ok(buttons.includes('Open the demo workspace'), buttons.join());
    await workbench.dispose();
  });

  it('a workspace without HELIX shows nothing in the status bar', async () => {
    const folder = join(world.root, 'plain');
    await mkdir(folder);
    const workbench = await world.open({ folder });
    await workbench.openView('HELIX');
    await waitFor('the welcome', async () => /no HELIX in this workspace/.test((await workbench.tree.welcome()).text));
    assert.deepEqual(
      (await workbench.statusBar.items()).filter(item => item.id.startsWith('helix.')),
      [],
    );
    await workbench.dispose();
  });

  it('an .env.local that is a folder or read-only: said once, nothing half-written, the services run', async () => {
    const folder = await world.fixture('stack');
    await rm(join(folder, '.env.local'));
    await mkdir(join(folder, '.env.local'));
    const workbench = await world.open({ folder });
    await workbench.runCommand(START);
    await workbench.notifications.waitFor(/\.env\.local.*folder/);
    await waitFor('the API', async () => (await world.service(folder, 'api')).state === 'healthy');
    await rm(join(folder, '.env.local'), { recursive: true });
    // With the proxy's address, so that nothing is left to be written while the file is read-only.
    await waitFor('the whole block, now that it can be written', async () => {
      const { state, port } = await world.service(folder, 'proxy');
      const { HELIX_API_URL = '', API_PORT } = await envFile(folder);
      return state === 'healthy' && API_PORT !== undefined && HELIX_API_URL.endsWith(`:${port}`);
    });
    await workbench.notifications.clear();
    await chmod(join(folder, '.env.local'), 0o444);
    const before = await envFile(folder);
    await workbench.runCommand('HELIX: Stop all');
    const { message } = await workbench.notifications.waitFor(/\.env\.local.*read-only/);
    assert.match(message, /helix\.publish\.envFile|make .*writable/i);
    assert.deepEqual(await envFile(folder), before);
    await workbench.screenshot(join(screenshotsDir, 'bad-input-read-only.png'));
    await workbench.dispose();
    await world.cli('stop', '--folder', folder);
  });

  it('a setting of the wrong type is named, with what it must be', async () => {
    const folder = await world.fixture('broken');
    await mkdir(join(folder, '.vscode'), { recursive: true });
    await writeText(folder, '.vscode/settings.json', '{ "helix.publish.names": 5 }');
    const workbench = await world.open({ folder });
    await workbench.runCommand(START);
    const { buttons } = await workbench.notifications.waitFor(/helix\.publish\.names is 5, but must be an object/);
    assert.ok(buttons.includes('Open settings'), buttons.join());
    await workbench.dispose();
  });

  it('services that cannot start: each named with its reason and a button to its terminal', async () => {
    const folder = join(world.root, 'broken');
    await writeText(folder, '.vscode/settings.json', '{}');
    const workbench = await world.open({ folder });
    await workbench.runCommand(START);
    for (const reason of [
      /missing failed: Command not found: no-such-program-anywhere/,
      /exits failed: .*exited with code 7.*flux capacitor/s,
      /silent failed: silent never listened on 213\d\d/,
      /elsewhere failed: elsewhere was assigned 213\d\d but listens on \d+/,
    ]) {
      const { buttons } = await workbench.notifications.waitFor(reason);
      assert.ok(buttons.includes('Show terminal'), buttons.join());
    }
    await workbench.screenshot(join(screenshotsDir, 'bad-input-failures.png'));
    await workbench.notifications.click(/exits failed/, 'Show terminal');
    await workbench.notifications.clear();
    await workbench.terminals.waitForText('exits', /flux capacitor is missing/);
    assert.equal((await world.service(folder, 'fine')).state, 'healthy');
    await workbench.screenshot(join(screenshotsDir, 'bad-input-terminal.png'));
    await workbench.runCommand('HELIX: Stop all');
    await workbench.dispose();
  });

  it('a band with no free port: the error names it, who has it, and how to widen it', async () => {
    const holder = await listen();
    const { port } = holder.address() as { port: number };
    const folder = join(world.root, 'full');
    await mkdir(folder);
    const band = { from: port, to: port };
    const services = { api: { command: ['${node}', '-e', '0'], port: band, readiness: { tcp: true } } };
    await writeText(folder, 'helix.config.json', JSON.stringify({ services }));
    const workbench = await world.open({ folder });
    await workbench.runCommand(START);
    const { message } = await workbench.notifications.waitFor(new RegExp(`No free port for api in ${port}-${port}`));
    assert.match(message, new RegExp(`pid ${process.pid}`));
    assert.match(message, /widen the band/);
    await workbench.dispose();
    await world.cli('stop', '--folder', folder);
    await new Promise(resolve => holder.close(resolve));
  });

  it('an invalid configuration: file, line and column, and a button that opens it', async () => {
    const folder = join(world.root, 'invalid');
    await mkdir(folder);
    await writeText(folder, 'helix.config.json', '{\n  "services": {\n    "api": { "comand": ["x"] }\n  }\n}\n');
    const workbench = await world.open({ folder });
    await workbench.runCommand(START);
    const { buttons } = await workbench.notifications.waitFor(
      /helix\.config\.json:3:\d+: .*comand.*Did you mean "command"/,
    );
    assert.ok(buttons.includes('Open the configuration'), buttons.join());
    await workbench.dispose();
  });

  it('an nginx that is missing for a proxy that runs: shown, with the embedded engine one click away', async () => {
    const folder = join(world.root, 'proxied');
    await mkdir(join(folder, '.vscode'), { recursive: true });
    const api = { command: ['${node}', '-e', LISTENER], env: { PORT: '${port}' }, readiness: { tcp: true } };
    await writeText(folder, 'helix.config.json', JSON.stringify({ services: { api } }));
    const workbench = await world.open({ folder });
    await workbench.runCommand(START);
    const healthy = async (): Promise<boolean> =>
      (await world.status(folder)).services.every(one => one.state === 'healthy');
    await waitFor('API and proxy', healthy);
    await waitFor('the address in the settings', async () => 'helix.apiUrl' in (await workspaceSettings(folder)));
    const before = await world.service(folder, 'proxy');
    const wanted = { 'helix.proxy.engine': 'nginx', 'helix.proxy.nginxPath': '/no/such/nginx' };
    const settings = { ...(await workspaceSettings(folder)), ...wanted };
    await writeText(folder, '.vscode/settings.json', JSON.stringify(settings));
    const { severity } = await workbench.notifications.waitFor(/nginxPath .*goes on with the engine that it has/s);
    assert.equal(severity, 'error');
    await workbench.screenshot(join(screenshotsDir, 'bad-input-nginx.png'));
    await workbench.notifications.click(/goes on with the engine/, 'Use the embedded engine');
    await waitFor(
      'the embedded engine in the settings',
      async () => (await workspaceSettings(folder))['helix.proxy.engine'] === 'embedded',
    );
    assert.equal((await world.service(folder, 'proxy')).pid, before.pid);
    await workbench.dispose();
    await world.cli('stop', '--folder', folder);
  });
});

describe('an untrusted workspace', () => {
  it('starts nothing, and says why', async () => {
    const world = await World.create({ trusted: false });
    try {
      const folder = await world.fixture('stack');
      const workbench = await world.open({ folder });
      if (await workbench.dialog()) await workbench.clickDialogButton("No, I don't trust the authors");
      await workbench.openView('HELIX');
      await waitFor('the welcome', async () => /untrusted/.test((await workbench.tree.welcome()).text));
      await workbench.runCommand(START);
      const { buttons } = await workbench.notifications.waitFor(/starts nothing in an untrusted workspace/);
      assert.ok(buttons.includes('Manage workspace trust'), buttons.join());
      assert.deepEqual(await workbench.terminals.names(), []);
      await workbench.screenshot(join(screenshotsDir, 'bad-input-untrusted.png'));
    } finally {
      await world.dispose();
    }
  });
});

const listen = (): Promise<Server> =>
  new Promise(resolve => {
    const server = createServer();
    server.listen(0, () => resolve(server));
  });
