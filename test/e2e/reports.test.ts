import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Frame } from 'playwright-core';
import { VERIFY_ITEMS, VERIFY_TITLES } from '../../src/model/verify-report.ts';
import { screenshotsDir } from '../support/paths.ts';
import { waitFor } from '../support/wait.ts';
import type { Workbench } from '../support/workbench.ts';
import { World } from './harness.ts';

const VERIFY = 'HELIX: Verify deployment';
const TITLES = VERIFY_ITEMS.map(id => VERIFY_TITLES[id]);

/** One item as the report's page shows it. */
interface Row {
  readonly outcome: string;
  readonly title: string;
  readonly done: string;
  readonly seen: string;
}

describe('what HELIX reports of a stack, in the editor', () => {
  let world: World;
  let workbench: Workbench;
  let folder: string;

  before(async () => {
    world = await World.create();
    folder = await world.fixture('stack');
    workbench = await world.open({ folder });
    const started = await world.cli('start', '--detach', '--folder', folder);
    assert.equal(started.exitCode, 0, started.stderr);
    await workbench.statusBar.item(/API.* :\d+$/);
  });

  after(() => world?.dispose());

  /** The report's rows and what it says above and below them, once it is a report for which `isMeant`. */
  const report = (isMeant: (text: string) => boolean): Promise<{ readonly text: string; readonly rows: Row[] }> =>
    waitFor(
      'the report',
      async () => {
        for (const frame of workbench.page.frames()) {
          const found = await readReport(frame).catch(() => undefined);
          if (found && isMeant(found.text)) return found;
        }
        return undefined;
      },
      { timeout: 240_000 },
    );

  const outcomes = (rows: readonly Row[]): Record<string, string> =>
    Object.fromEntries(rows.map(({ title, outcome }) => [title, outcome]));

  it('asks how far the checklist may go, and shows it as a page', async () => {
    const before = await world.service(folder, 'api');
    await workbench.runCommand(VERIFY);
    const asked = await waitFor('the question', () => workbench.dialog());
    assert.match(asked.message, /Two of the six checks interrupt the API/);
    await workbench.clickDialogButton('Kill nothing');
    const { rows } = await report(text => text.includes('4 passed'));
    assert.deepEqual(
      rows.map(({ title }) => title),
      TITLES,
    );
    for (const id of ['recovery', 'portConflict'] as const) {
      assert.equal(outcomes(rows)[VERIFY_TITLES[id]], '– skipped', id);
    }
    assert.equal((await world.service(folder, 'api')).pid, before.pid);
  });

  it('does the whole checklist where that is wanted, and leaves the stack as it was', async () => {
    const before = await world.service(folder, 'api');
    await workbench.runCommand(VERIFY);
    await workbench.clickDialogButton('Do everything');
    const { text, rows } = await report(words => words.includes('6 passed'));
    await workbench.screenshot(join(screenshotsDir, 'verify-report.png'));
    assert.deepEqual(
      rows.map(row => [row.title, row.outcome]),
      TITLES.map(title => [title, '✔ passed']),
    );
    assert.ok(
      rows.every(({ done, seen }) => done !== '' && seen !== ''),
      JSON.stringify(rows),
    );
    assert.match(text, /The stack is as it was found\./);
    const after = await world.service(folder, 'api');
    assert.deepEqual({ state: after.state, port: after.port }, { state: 'healthy', port: before.port });
    assert.notEqual(after.pid, before.pid);
  });

  /** Answers the dialog that asks for a file, which takes no answer while it reads the folder. */
  async function saveAs(file: string): Promise<void> {
    const input = workbench.page.locator('.quick-input-widget:visible input[type="text"]');
    await waitFor('the name that is proposed', async () => /helix-health-.*\.csv$/.test(await input.inputValue()));
    await input.fill(file);
    await waitFor(
      'the file',
      async () => {
        if (await input.isVisible()) await input.press('Enter', { timeout: 1_000 });
        return existsSync(file) && (await readFile(file, 'utf8')) !== '';
      },
      { interval: 1_000 },
    );
    await workbench.notifications.waitFor(/The health history is in /);
    await workbench.notifications.clear();
  }

  it('writes the health history where it is wanted, as CSV or JSON by the name', async () => {
    const { port } = await world.service(folder, 'api');
    await workbench.runCommand('HELIX: Export health history…');
    const csv = join(folder, 'health.csv');
    await saveAs(csv);
    const [head, ...lines] = (await readFile(csv, 'utf8')).trimEnd().split('\r\n');
    assert.equal(head, 'service,time,latencyMs,outcome,port,reason');
    const ok = new RegExp(`^api,\\d{4}-[\\dT:.-]+Z,[\\d.]+,ok,${port},$`);
    assert.ok(
      lines.some(line => ok.test(line)),
      lines.join('\n'),
    );

    await workbench.runCommand('HELIX: Export health history…');
    const json = join(folder, 'health.json');
    await saveAs(json);
    const history = JSON.parse(await readFile(json, 'utf8')) as {
      workspace: string;
      services: { id: string; checks: { outcome: string; port: number }[] }[];
    };
    assert.equal(history.workspace, folder);
    const api = history.services.find(service => service.id === 'api')!;
    assert.ok(api.checks.some(check => check.outcome === 'ok' && check.port === port));
  });

  it('says on that page and in a message what failed, and does not start what is stopped', async () => {
    const stopped = await world.cli('stop', 'api', '--folder', folder);
    assert.equal(stopped.exitCode, 0, stopped.stderr);
    await workbench.runCommand(VERIFY);
    await workbench.clickDialogButton('Kill nothing');
    const { rows } = await report(text => /[1-9] failed/.test(text));
    assert.equal(outcomes(rows)[VERIFY_TITLES.portDiscovery], '✔ passed');
    assert.equal(outcomes(rows)[VERIFY_TITLES.health], '✘ failed');
    assert.match(rows.find(row => row.title === VERIFY_TITLES.health)!.seen, /is stopped\. Start HELIX first/);
    await workbench.notifications.waitFor(/the verification failed: .*The API says that it is healthy/);
    assert.equal((await world.service(folder, 'api')).state, 'stopped');
  });
});

/** The report in the frame of a Markdown preview; undefined for any other frame. */
function readReport(frame: Frame): Promise<{ readonly text: string; readonly rows: Row[] } | undefined> {
  return frame.evaluate(() => {
    const title = document.querySelector('h1');
    if (title?.textContent !== 'HELIX: verification of the deployment') return undefined;
    const rows = [...document.querySelectorAll('table tbody tr')].map(row => {
      const [outcome = '', title = '', done = '', seen = ''] = [...row.querySelectorAll('td')].map(cell =>
        (cell.textContent ?? '').trim(),
      );
      return { outcome, title, done, seen };
    });
    return { text: document.body.innerText, rows };
  });
}
