import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import getPort from 'get-port';
import { setDemoVariable } from '../../src/session/demo-workspace.ts';
import { repoRoot } from '../support/paths.ts';
import { ensurePythonStack } from '../support/python.ts';
import { skip } from '../unit/postgres/harness.ts';
import { waitFor } from '../support/wait.ts';
import type { Workbench } from '../support/workbench.ts';
import { envFile, isAlive, World, workspaceSettings, writeText } from './harness.ts';

/** A checkout as a user has it: FastAPI, uvicorn, asyncpg, a `.env`, and no configuration of ours. */
describe('a HELIX v2.0 checkout in the editor', () => {
  let world: World;
  let workbench: Workbench;
  let folder: string;
  let selected: string;

  before(async function () {
    const python = await ensurePythonStack();
    if (python.kind === 'missing') return skip(this, python.reason);
    world = await World.create({ others: [join(repoRoot, 'test/fixtures/python-extension')] });
    folder = await world.fixture('helix-v2');
    await copyFile(join(folder, '.env.example'), join(folder, '.env'));
    await setDemoVariable(folder, 'POSTGRES_PORT', String(await getPort()));
    await setDemoVariable(folder, 'GEMINI_API_KEY', 'not-to-be-seen');
    selected = await python.makeBareVenv(join(world.root, 'selected'));
    await writeText(folder, '.python-choice', selected);
    workbench = await world.open({ folder });
  });

  after(async () => {
    await world?.dispose();
  });

  it('says which package the selected Python misses, and installs it in a terminal', async () => {
    await workbench.runCommand('HELIX: Start with dynamic ports');
    const failed = /API, .*failed: Python misses uvicorn, asyncpg\. .*To install/;
    const { message } = await workbench.notifications.waitFor(failed);
    assert.ok(message.includes(`${selected} -m pip install -r requirements.txt`), message);
    await workbench.notifications.click(failed, 'Install');
    await workbench.terminals.waitForText(/Install Python packages/, /Collecting uvicorn[^]*Successfully installed/);
  });

  it('then starts with it, each service healthy on its own port', async () => {
    await workbench.notifications.click(/The Python packages are installed/, 'Start');
    for (const name of ['PostgreSQL', 'API', 'Orchestrator', 'Worker']) {
      await waitFor(`${name} to be healthy`, async () =>
        (await workbench.statusBar.item(new RegExp(`^${name} :\\d+$`))).icons.includes('pass-filled'),
      );
    }
  });

  it('publishes what answers: health, docs, and a job that goes through', async () => {
    const { port } = await world.service(folder, 'api');
    const variables = await envFile(folder);
    const url = variables['HELIX_API_URL'];
    assert.equal(variables['API_PORT'], String(port));
    await waitFor('the settings', async () => (await workspaceSettings(folder))['helix.apiUrl'] === url);
    const health = (await (await fetch(`${url}/api/v1/health`)).json()) as { status: string };
    assert.equal(health.status, 'healthy');
    assert.match(await (await fetch(`${url}/docs`)).text(), /<title>HELIX - Swagger UI<\/title>/);
    await runJob(url!);
  });

  it('shows the effective environment of a service, without its secrets', async () => {
    const { port } = await world.service(folder, 'api');
    await workbench.runCommand('HELIX: Show effective environment');
    await workbench.quickPick(/API/);
    const text = await waitFor('the page', async () => {
      const shown = await workbench.editorText();
      return shown.includes('API_PORT=') && shown;
    });
    assert.match(text, new RegExp(`API_PORT=${port} +# allocated`));
    assert.match(text, new RegExp(`ALLOWED_ORIGINS=\\S+http://127\\.0\\.0\\.1:${port}\\b\\S* +# allocated`));
    assert.match(text, /POSTGRES_DB=helix +# \.env line \d+/);
    assert.ok(!text.includes('not-to-be-seen'));
  });

  it('restarts from the palette, and comes back after kill -9', async () => {
    const before = await world.service(folder, 'api');
    await workbench.runCommand('HELIX: Restart service…');
    await workbench.quickPick(/API/);
    const restarted = await otherApi(before.pid!);
    assert.equal(restarted.port, before.port);
    process.kill(restarted.pid!, 'SIGKILL');
    const recovered = await otherApi(restarted.pid!);
    assert.equal(recovered.port, before.port);
    assert.ok(!(await isAlive(restarted.pid!)));
    await runJob(recovered.url!);
  });

  const otherApi = (pid: number): ReturnType<World['service']> =>
    waitFor('another API process', async () => {
      const now = await world.service(folder, 'api');
      return now.state === 'healthy' && now.pid !== pid && now;
    });
});

async function runJob(url: string): Promise<void> {
  const answer = await fetch(`${url}/api/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request: 'a page for a bakery' }),
  });
  assert.equal(answer.status, 201);
  const { id } = (await answer.json()) as { id: string };
  const result = await waitFor('the job to be completed', async () => {
    const response = await fetch(`${url}/api/v1/jobs/${id}/result`);
    return response.status === 200 && ((await response.json()) as { html: string });
  });
  assert.match(result.html, /a page for a bakery/);
}
