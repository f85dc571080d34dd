import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repoRoot, screenshotsDir } from '../support/paths.ts';
import { waitFor } from '../support/wait.ts';
import type { Workbench } from '../support/workbench.ts';
import { vsixFile, World } from './harness.ts';

const COMMAND = 'HELIX: Add port discovery to the front end';

/** With the packaged extension: what is copied has to be in the package. */
describe('HELIX: Add port discovery to the front end', () => {
  const script = readFileSync(join(repoRoot, 'media', 'port-discovery.js'));
  let world: World;
  let workbench: Workbench;
  let frontEnd: string;

  before(async () => {
    world = await World.create({ vsix: vsixFile });
    const folder = join(world.root, 'project');
    frontEnd = join(folder, 'frontend');
    await mkdir(frontEnd, { recursive: true });
    await writeFile(join(frontEnd, 'index.html'), '<!doctype html><title>mine</title>');
    workbench = await world.open({ folder });
  });

  after(() => world?.dispose());

  const file = (): string => join(frontEnd, 'port-discovery.js');
  const diff = (): Promise<boolean> =>
    workbench.page.getByRole('tab', { name: /port-discovery\.js: yours ↔ HELIX/ }).isVisible();

  it('puts it into frontend/, and a second time changes nothing', async () => {
    await workbench.runCommand(COMMAND);
    await workbench.notifications.waitFor(/frontend\/port-discovery\.js was added/);
    assert.deepEqual(readFileSync(file()), script);
    assert.deepEqual((await readdir(frontEnd)).sort(), ['index.html', 'port-discovery.js']);
    const { mtimeMs } = await stat(file());
    await workbench.notifications.clear();
    await workbench.runCommand(COMMAND);
    await workbench.notifications.waitFor(/frontend\/port-discovery\.js is up to date/);
    assert.equal((await stat(file())).mtimeMs, mtimeMs);
    assert.equal(await diff(), false);
  });

  it('shows the differences before it replaces another file, which is kept unless that is wanted', async () => {
    await writeFile(file(), '// mine\n');
    await workbench.notifications.clear();
    await workbench.runCommand(COMMAND);
    const question = /frontend\/port-discovery\.js is there already, and different/;
    await workbench.notifications.waitFor(question);
    await waitFor('the differences', diff);
    assert.equal(readFileSync(file(), 'utf8'), '// mine\n');
    await workbench.screenshot(join(screenshotsDir, 'discovery-diff.png'));
    await workbench.notifications.click(question, 'Keep mine');
    await workbench.notifications.waitFor(/port-discovery\.js was left as it is/);
    assert.equal(readFileSync(file(), 'utf8'), '// mine\n');
    await waitFor('the differences to be gone', async () => !(await diff()));
    await workbench.notifications.clear();
    await workbench.runCommand(COMMAND);
    await workbench.notifications.click(question, 'Replace');
    await workbench.notifications.waitFor(/port-discovery\.js was replaced/);
    assert.deepEqual(readFileSync(file()), script);
  });

  it('brings the types where TypeScript looks at the front end', async () => {
    await writeFile(join(frontEnd, 'tsconfig.json'), '{}');
    await workbench.notifications.clear();
    await workbench.runCommand(COMMAND);
    await workbench.notifications.waitFor(/port-discovery\.js is up to date/);
    const types = readFileSync(join(repoRoot, 'media', 'port-discovery.d.ts'));
    await waitFor('the types', async () => (await readdir(frontEnd)).includes('port-discovery.d.ts'));
    assert.deepEqual(readFileSync(join(frontEnd, 'port-discovery.d.ts')), types);
  });
});
