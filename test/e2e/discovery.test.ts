import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import type { DiscoveryError, PortDiscoveryOptions } from '../../src/browser/contract.ts';
import { workspaceId } from '../../src/model/workspace-id.ts';
import { waitFor } from '../support/wait.ts';
import { Lab } from './discovery-lab.ts';

const OURS = workspaceId('/home/me/helix');
const THEIRS = workspaceId('/home/you/helix');

/** How often each of two workspaces' pages looks for its API in the suite; the benchmark does it 1,000 times. */
const PLACEMENTS = 5;
const SEARCHES = 8;

describe('a page in a real browser', () => {
  let lab: Lab;
  let origin: string;
  let page: Page;

  before(async () => {
    lab = await Lab.create();
    origin = `http://localhost:${await lab.site()}`;
  });

  afterEach(async () => {
    await page?.context().close();
    await lab.clear();
  });

  after(() => lab?.dispose());

  /** Where an API was found, by its port: on a busy machine it is not always the preferred name that answers. */
  const initialize = async (options: PortDiscoveryOptions = {}): Promise<number | undefined> => {
    const [found, base] = await page.evaluate(
      async all => [await window.initializeHelixApi(all), window.getHelixApiBase()] as const,
      { ...lab.options, ...options },
    );
    assert.equal(found, base !== '');
    return found ? Number(new URL(base).port) : undefined;
  };

  /** A call as HELIX's page makes them, and who answered it. */
  const call = (path: string, method = 'GET'): Promise<{ name: string; method: string; path: string }> =>
    page.evaluate(
      async ([path, method]) => {
        const answer = await window.helixApi.fetch(path, { method });
        return (await answer.json()) as { name: string; method: string; path: string };
      },
      [path, method] as const,
    );

  it('keeps HELIX’s contract: initializes, and builds addresses that answer', async () => {
    const port = lab.band.from + 23;
    await lab.api(port, { name: 'ours', origins: [origin] });
    page = await lab.open(origin);
    assert.equal(await initialize(), port);
    const answer = await page.evaluate(
      async () => (await (await fetch(window.buildHelixApiUrl('/api/v1/jobs'))).json()) as unknown,
    );
    assert.deepEqual(answer, { name: 'ours', method: 'GET', path: '/api/v1/jobs' });
  });

  it('from a file finds its own workspace’s API by where the file lies, with a colleague’s on the stable port', async () => {
    const { workspace, url } = await lab.file();
    const [theirs, ours] = [lab.band.from + 1, lab.band.to];
    await lab.api(theirs, { name: 'theirs', origins: ['null'] });
    await lab.proxy(lab.proxyPort, { workspace: THEIRS, api: theirs, origins: ['null'] });
    await lab.api(ours, { name: 'ours', origins: ['null'] });
    await lab.proxy(lab.proxyBand.from + 7, { workspace: workspaceId(workspace), api: ours, origins: ['null'] });
    page = await lab.open(url);
    assert.equal(await initialize(), lab.proxyBand.from + 7);
    assert.equal((await call('/x')).name, 'ours');
  });

  it('from a file is told which APIs do not let it read their answers', async () => {
    const { url } = await lab.file();
    const port = lab.band.from + 5;
    await lab.api(port, { name: 'closed', origins: [origin] });
    page = await lab.open(url);
    const error = await page.evaluate(async options => {
      const discovery = new window.PortDiscovery(options);
      const failure = await discovery.discoverApiEndpoint().catch((reason: unknown) => reason as DiscoveryError);
      discovery.close();
      return typeof failure === 'string' ? failure : { ...failure, message: failure.message };
    }, lab.options);
    if (typeof error === 'string') assert.fail(`found ${error}`);
    assert.deepEqual([error.kind, error.unreadable], ['notFound', [`http://127.0.0.1:${port}`]]);
    assert.match(error.message, /Not readable: .* add null to its ALLOWED_ORIGINS/);
  });

  it('from another origin goes through the proxy of its own workspace', async () => {
    const [theirs, ours] = [lab.band.from, lab.band.from + 50];
    await lab.api(theirs, { name: 'theirs', origins: [origin] });
    await lab.api(ours, { name: 'ours' });
    await lab.proxy(lab.proxyPort, { workspace: OURS, api: ours, origins: [origin] });
    page = await lab.open(origin);
    assert.equal(await initialize({ workspace: OURS }), lab.proxyPort);
    assert.equal((await call('/x')).name, 'ours');
  });

  it('opened through the proxy stays there, on whatever port the API comes back behind it', async () => {
    const [before, after] = [lab.band.from + 3, lab.band.from + 4];
    await lab.api(before, { name: 'before' });
    await lab.proxy(lab.proxyPort, { workspace: OURS, api: before });
    page = await lab.open(`http://localhost:${lab.proxyPort}/`);
    assert.equal(await initialize(), lab.proxyPort);
    assert.equal((await call('/x', 'POST')).name, 'before');
    await lab.end(before);
    await lab.api(after, { name: 'after' });
    await lab.proxy(lab.proxyPort, { workspace: OURS, api: after });
    assert.equal((await call('/x', 'POST')).name, 'after');
    assert.equal(await page.evaluate(() => window.helixApi.api?.by), 'origin');
  });

  it('from a development server of the workspace knows by its own port whose it is', async () => {
    const web = Number(new URL(origin).port);
    const [theirs, ours] = [lab.band.from, lab.band.from + 50];
    await lab.api(theirs, { name: 'theirs', origins: [origin] });
    await lab.proxy(lab.proxyPort, { workspace: THEIRS, api: theirs, origins: [origin] });
    await lab.api(ours, { name: 'ours' });
    await lab.proxy(lab.proxyBand.to, { workspace: OURS, api: ours, origins: [origin], services: { web } });
    page = await lab.open(origin);
    assert.equal(await initialize(), lab.proxyBand.to);
  });

  it('takes none of two that could both be its own, and says which they are', async () => {
    const ports = [lab.band.from, lab.band.to];
    for (const port of ports) await lab.api(port, { name: String(port), origins: [origin] });
    page = await lab.open(origin);
    const warning = page.waitForEvent('console', message => message.type() === 'warning');
    assert.equal(await initialize(), undefined);
    assert.match((await warning).text(), /Several HELIX APIs answer/);
    for (const port of ports) assert.ok((await warning).text().includes(`:${port}`));
  });

  it('goes on when the API restarts on another port: the next call succeeds, a POST too', async () => {
    let port: number = lab.band.from + 10;
    await lab.api(port, { name: 'first', origins: [origin] });
    page = await lab.open(origin);
    await initialize();
    await page.evaluate(() => {
      const said: string[] = [];
      Object.assign(window, { said });
      for (const type of ['lost', 'found', 'moved'] as const) {
        window.helixApi.addEventListener(type, () => said.push(type));
      }
    });
    for (const method of ['GET', 'POST', 'DELETE']) {
      await call('/x');
      await lab.end(port);
      port += 7;
      await lab.api(port, { name: method, origins: [origin] });
      assert.deepEqual(await call('/again', method), { name: method, method, path: '/again' });
      assert.ok((await page.evaluate(() => window.getHelixApiBase())).endsWith(`:${port}`));
    }
    const said = await page.evaluate(() => (window as unknown as { said: string[] }).said);
    assert.deepEqual(said.slice(0, 3), ['lost', 'found', 'moved']);
  });

  it('lets calls wait while the API is away, and makes them when it is back', async () => {
    const port = lab.band.from + 10;
    await lab.api(port, { name: 'ours', origins: [origin] });
    page = await lab.open(origin);
    await initialize();
    await lab.end(port);
    const waiting = [call('/a'), call('/b')];
    await page.waitForFunction(() => window.helixApi.api === undefined);
    await lab.api(port + 1, { name: 'back', origins: [origin] });
    for (const answer of await Promise.all(waiting)) assert.equal(answer.name, 'back');
  });

  it('finds the last of 100 ports while 20 accept and never answer, within 5 s', async () => {
    await lab.api(lab.band.to, { name: 'ours', origins: [origin] });
    for (let port: number = lab.band.from; port < lab.band.to; port += 5) await lab.hang(port);
    page = await lab.open(origin);
    // The limits are those that pages have. A machine that is too busy gets another chance.
    const { band, proxyBand, proxyPort } = lab;
    const ms = await waitFor('a search within the limits', async () => {
      const [base, took] = await page.evaluate(
        async options => {
          const discovery = new window.PortDiscovery(options);
          const began = performance.now();
          const base = await discovery.discoverApiEndpoint().catch(String);
          discovery.close();
          return [base, performance.now() - began] as const;
        },
        { band, proxyBand, proxyPort },
      );
      return base.endsWith(`:${lab.band.to}`) && took < 5_000 && took;
    });
    console.log(`      found in ${Math.round(ms)} ms`);
  });

  it('of two stacks on one machine never takes the wrong one, wherever they are', async () => {
    page = await lab.open(origin);
    // Whose they are is the matter here, and not how many ports there are.
    const { band, proxyBand } = lab;
    const [near, far] = [band, proxyBand].map(({ from }) => ({ from, to: from + 19 }));
    const options = { ...lab.options, band: near!, proxyBand: far! };
    for (let placement = 0; placement < PLACEMENTS; placement++) {
      const bases = await placeTwo(lab, origin, placement);
      const wrong = await page.evaluate(searchOften, { options, bases, searches: SEARCHES });
      assert.deepEqual(wrong, [], `placement ${placement}`);
      await lab.clear();
    }
  });
});

/** Two stacks, the colleague's first in every order; which addresses are whose. */
async function placeTwo(lab: Lab, origin: string, seed: number): Promise<Record<string, string[]>> {
  const { band, proxyBand, proxyPort } = lab;
  const stacks = [
    { workspace: THEIRS, api: band.from + seed * 3, proxy: seed % 2 ? proxyBand.from : proxyPort },
    { workspace: OURS, api: band.from + 19 - seed * 3, proxy: proxyBand.from + 19 - seed },
  ];
  const bases: Record<string, string[]> = {};
  for (const { workspace, api, proxy } of stacks) {
    await lab.api(api, { name: workspace, origins: [origin] });
    await lab.proxy(proxy, { workspace, api, origins: [origin] });
    bases[workspace] = [proxy, api].flatMap(port => [`http://localhost:${port}`, `http://127.0.0.1:${port}`]);
  }
  return bases;
}

/** Runs in the page. Each search is a new discovery that knows its workspace; what was found and was not its own. */
async function searchOften({
  options,
  bases,
  searches,
}: {
  options: PortDiscoveryOptions;
  bases: Record<string, string[]>;
  searches: number;
}): Promise<string[]> {
  const wrong: string[] = [];
  for (let search = 0; search < searches; search++) {
    for (const [workspace, own] of Object.entries(bases)) {
      const discovery = new window.PortDiscovery({ ...options, workspace });
      const found = await discovery.discoverApiEndpoint().catch(String);
      discovery.close();
      if (!own.includes(found)) wrong.push(`${workspace}: ${found}`);
    }
  }
  return wrong;
}
