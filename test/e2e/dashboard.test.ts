import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Frame, Page } from 'playwright-core';
import { accessibilityProblems } from '../support/axe.ts';
import { repoRoot, screenshotsDir } from '../support/paths.ts';
import { waitFor } from '../support/wait.ts';
import type { Theme, Workbench } from '../support/workbench.ts';
import { World, writeText } from './harness.ts';

/** A service that is well, and prints what would be markup if anybody took it for that. */
const API = `
  console.log('<img src=x onerror="document.title=1"><b>bold</b>');
  require('node:http').createServer((request, response) => {
    if (request.url === '/say') console.log('said after the start');
    response.end('{}');
  }).listen(Number(process.env.PORT), '127.0.0.1');
`;

const CONFIG = {
  proxy: { enabled: false },
  services: {
    api: {
      label: '<i>API</i>',
      command: ['${node}', '-e', API],
      env: { PORT: '${port}' },
      port: { from: 21_300, to: 21_399 },
      readiness: { http: '/health' },
    },
    idle: { command: ['${node}', '-e', 'setInterval(() => {}, 1e6)'], readiness: { aliveSeconds: 0.1 } },
  },
};

const LABEL = '<i>API</i>';

describe('the dashboard', () => {
  let world: World;
  let workbench: Workbench;
  let folder: string;

  before(async () => {
    world = await World.create();
    folder = await world.fixture('stack');
    await writeText(folder, 'helix.config.json', JSON.stringify(CONFIG));
    workbench = await world.open({ folder });
    const started = await world.cli('start', '--detach', '--folder', folder);
    assert.equal(started.exitCode, 0, started.stderr);
  });

  after(async () => {
    await world?.dispose();
  });

  const shot = (page: Page, name: string): Promise<unknown> =>
    page.screenshot({ path: join(screenshotsDir, `dashboard-${name}.png`) });

  const card = (page: Page | Frame, label = LABEL) => page.getByRole('article', { name: label, exact: true });

  const isHealthy = (page: Page | Frame): Promise<void> =>
    card(page).getByText('healthy', { exact: true }).waitFor({ timeout: 60_000 });

  /** The cell of a port, and what is said of it. */
  const cellText = async (page: Page | Frame, port: number): Promise<string> =>
    (await page.locator(`[role=gridcell][aria-label^="${port},"]`).getAttribute('aria-label')) ?? '';

  describe('in a browser', () => {
    let server: ChildProcess;
    let url = '';

    before(async () => {
      const env = { ...process.env, HELIX_PORTS_HOME: join(world.root, 'state') };
      const args = [join(repoRoot, 'dist', 'cli.cjs'), 'dashboard', '--folder', folder];
      server = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
      [url] = (await once(createInterface({ input: server.stdout! }), 'line')) as [string];
    });

    after(async () => {
      if (server.exitCode !== null) return;
      server.kill('SIGINT');
      await once(server, 'exit');
    });

    async function open(options: Parameters<World['browser']['newContext']>[0] = {}): Promise<Page> {
      const context = await world.browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      const page = await context.newPage();
      await page.goto(url);
      await isHealthy(page);
      return page;
    }

    const statusOf = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<number> =>
      new Promise((resolve, reject) => {
        const call = request(new URL(path, url), { headers, method }, response => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        call.on('error', reject).end();
      });

    it('is only for who knows its address, by its own name, and only for looking', async () => {
      assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}\/$/);
      assert.equal(await statusOf(''), 200);
      for (const path of ['/', '/events', '/page.js', `/${'x'.repeat(32)}/`, `/${'x'.repeat(32)}/events`]) {
        assert.equal(await statusOf(path), 404, path);
      }
      assert.equal(await statusOf('../../../package.json'), 404);
      assert.equal(await statusOf('', { host: 'evil.example' }), 404);
      assert.equal(await statusOf('', {}, 'POST'), 405);
      const page = await open();
      assert.deepEqual(await page.getByRole('button').allInnerTexts(), []);
      await page.context().close();
    });

    for (const [name, media] of [
      ['light', { colorScheme: 'light' }],
      ['dark', { colorScheme: 'dark' }],
      ['high-contrast', { colorScheme: 'dark', contrast: 'more' }],
      ['forced-colors', { colorScheme: 'dark', forcedColors: 'active' }],
    ] as const) {
      it(`leaves nobody out, in ${name}`, async () => {
        // Only so that axe can be brought in; what the page does under its policy the other tests see.
        const page = await open({ ...media, bypassCSP: true });
        await page.locator('[role=gridcell].ours').first().waitFor();
        assert.deepEqual(await accessibilityProblems(page), []);
        await shot(page, `served-${name}`);
        await page.context().close();
      });
    }

    it('shows whatever services print and are called as text', async () => {
      const page = await open();
      await page.getByRole('tab', { name: LABEL }).click();
      await page.getByText('<img src=x onerror="document.title=1"><b>bold</b>').waitFor();
      assert.equal(await page.locator('main img, main b, main i').count(), 0);
      assert.notEqual(await page.title(), '1');
      await page.context().close();
    });

    it('keeps to a policy that lets nothing in but its own script', async () => {
      const page = await open();
      const blocked = page.evaluate(
        () =>
          new Promise<string>(resolve => {
            document.addEventListener('securitypolicyviolation', event => resolve(event.effectiveDirective));
            const script = document.createElement('script');
            script.textContent = 'document.title = "run"';
            document.body.append(script);
          }),
      );
      assert.match(await blocked, /^script-src/);
      assert.notEqual(await page.title(), 'run');
      await page.context().close();
    });

    it('tells who has which port, and hears of a stranger', async () => {
      const page = await open();
      const { port } = await world.service(folder, 'api');
      await waitFor('our port in the map', async () =>
        (await cellText(page, port!)).includes(`this workspace: ${LABEL} of this workspace`),
      );
      assert.match(await cellText(page, 8080), /(reserved|somebody else|HELIX)/);
      const free = port === 21_350 ? 21_351 : 21_350;
      await waitFor('a free port', async () => (await cellText(page, free)) === `${free}, free`);
      const stranger = createServer().listen(free, '127.0.0.1');
      await once(stranger, 'listening');
      const theirs = `${free}, somebody else: pid ${process.pid} `;
      await waitFor('the stranger in the map', async () => (await cellText(page, free)).startsWith(theirs));
      stranger.close();
      await page.context().close();
    });

    it('goes by the arrow keys, one Tab stop for a band', async () => {
      const page = await open();
      const first = page.locator('[role=gridcell][aria-label^="21300,"]');
      await first.waitFor();
      assert.equal(await page.locator('.grid').last().locator('[tabindex="0"]').count(), 1);
      await first.focus();
      const focused = (): Promise<number> =>
        page.evaluate(() => Number(document.activeElement?.getAttribute('aria-label')?.split(',')[0]));
      for (const [key, port] of [
        ['ArrowRight', 21_301],
        ['ArrowDown', 21_321],
        ['ArrowLeft', 21_320],
        ['ArrowUp', 21_300],
        ['ArrowUp', 21_300],
        ['End', 21_319],
        ['PageDown', 21_399],
        ['Control+Home', 21_300],
        ['Control+End', 21_399],
        ['Home', 21_380],
      ] as const) {
        await page.keyboard.press(key);
        assert.equal(await focused(), port, key);
      }
      // The grid stands in one Tab stop, and is come back to where it was left.
      await page.keyboard.press('Tab');
      assert.ok(Number.isNaN(await focused()));
      await page.keyboard.press('Shift+Tab');
      assert.equal(await focused(), 21_380);
      assert.match(await page.locator('.readout', { hasText: '21380' }).innerText(), /^21380, /);
      await page.context().close();
    });

    it('follows what happens: output, a crash, its restart, and says so to a screen reader', async () => {
      const page = await open();
      const before = await world.service(folder, 'api');
      await fetch(`${before.url}/say`);
      await page.getByText('said after the start').first().waitFor();
      process.kill(before.pid!, 'SIGKILL');
      await waitFor('the restart', async () => (await world.service(folder, 'api')).restarts > before.restarts);
      await isHealthy(page);
      const facts = card(page).locator('dl');
      await waitFor('the count of restarts', async () => /Restarts\s*1/.test(await facts.innerText()));
      await waitFor('the news', async () => /<i>API<\/i>: /.test(await page.getByRole('status').innerText()));
      const chart = card(page).getByRole('img');
      await waitFor('the chart', async () => /1 restart$/.test((await chart.getAttribute('aria-label')) ?? ''));
      await shot(page, 'served-restarted');
      await page.context().close();
    });
  });

  describe('in the editor', () => {
    /** The page within the webview: a frame in a frame of the workbench. */
    const frame = (): Promise<Frame> =>
      waitFor('the dashboard’s frame', async () => {
        for (const one of workbench.page.frames()) {
          if (
            (await one
              .locator('main h2', { hasText: 'Ports' })
              .count()
              .catch(() => 0)) > 0
          )
            return one;
        }
        return undefined;
      });

    before(async () => {
      await workbench.statusBar.item(/API.* :\d+$/);
      await workbench.runCommand('HELIX: Open dashboard');
      await isHealthy(await frame());
    });

    for (const theme of ['light', 'dark', 'highContrast'] as const satisfies readonly Theme[]) {
      it(`has the look of the editor in ${theme}, and leaves nobody out`, async () => {
        await workbench.setTheme(theme);
        const page = await frame();
        await page.locator('[role=gridcell].ours').first().waitFor();
        const [own, editor] = await page.evaluate(() => {
          const style = getComputedStyle(document.documentElement);
          const probe = document.createElement('div');
          probe.style.color = style.getPropertyValue('--vscode-editor-background');
          document.body.append(probe);
          const wanted = getComputedStyle(probe).color;
          probe.remove();
          return [getComputedStyle(document.body).backgroundColor, wanted];
        });
        assert.equal(own, editor);
        assert.deepEqual(await accessibilityProblems(page), []);
        await shot(workbench.page, `webview-${theme}`);
      });
    }

    it('restarts, stops and starts a service with its buttons', async () => {
      const page = await frame();
      const { pid, restarts } = await world.service(folder, 'api');
      await card(page).getByRole('button', { name: 'Restart' }).click();
      await waitFor('the restart', async () => {
        const now = await world.service(folder, 'api');
        return now.restarts === restarts + 1 && now.pid !== pid && now.state === 'healthy';
      });
      await isHealthy(page);
      await card(page).getByRole('button', { name: 'Stop' }).click();
      await card(page).getByText('stopped', { exact: true }).waitFor();
      assert.equal((await world.service(folder, 'api')).state, 'stopped');
      await card(page).getByRole('button', { name: 'Start' }).click();
      await isHealthy(page);
    });

    it('runs one more of a service and one less, by the keyboard and with a name for each button', async () => {
      const page = await frame();
      const more = card(page).getByRole('button', { name: `Add a replica of ${LABEL}` });
      const less = card(page).getByRole('button', { name: `Remove a replica of ${LABEL}` });
      assert.deepEqual([await more.innerText(), await less.innerText()], ['+', '−']);
      assert.equal(await less.getAttribute('aria-disabled'), 'true');
      // There can be several of this one as well, which opens no port; each has its own pair.
      assert.equal(await page.getByRole('button', { name: /^Add a replica of / }).count(), 2);
      await more.focus();
      await workbench.page.keyboard.press('Enter');
      const second = card(page, `${LABEL} 2`);
      await second.getByText('healthy', { exact: true }).waitFor({ timeout: 60_000 });
      await waitFor('the count', async () => /Replicas\s*2/.test(await card(page).locator('dl').innerText()));
      assert.equal((await world.service(folder, 'api-2')).state, 'healthy');
      assert.equal(await second.getByRole('button', { name: /replica/ }).count(), 0);
      await waitFor('the other button', async () => (await less.getAttribute('aria-disabled')) === 'false');
      await less.focus();
      await workbench.page.keyboard.press('Enter');
      await second.waitFor({ state: 'detached', timeout: 60_000 });
      await waitFor('the last one', async () => (await less.getAttribute('aria-disabled')) === 'true');
      // It stays where it is, for whoever came to it with the keyboard.
      assert.equal(await less.evaluate(button => button === document.activeElement), true);
      await isHealthy(page);
    });

    it('is gone while it is hidden, and comes back as it was left', async () => {
      const page = await frame();
      await page.getByRole('tab', { name: 'idle' }).click();
      await workbench.runCommand('File: New Untitled Text File');
      await waitFor('the page to be gone', () => page.isDetached());
      await workbench.runCommand('View: Open Previous Editor in Group');
      const again = await frame();
      await isHealthy(again);
      assert.equal(await again.getByRole('tab', { selected: true }).innerText(), 'idle');
    });

    it('comes back after a reload of the window', async () => {
      await workbench.reload();
      const page = await frame();
      await isHealthy(page);
      assert.equal(await page.getByRole('tab', { selected: true }).innerText(), 'idle');
    });
  });
});
