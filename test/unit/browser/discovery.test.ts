import assert from 'node:assert/strict';
import type { Discovery } from '../../../src/browser/discovery.ts';
import { eventsOf, FakePage, hanging, helix, PROXY, proxyOf } from './fake-page.ts';

const at = (port: number): string => `http://localhost:${port}`;

const OURS = 'aaaaaaaaaaaa';
const THEIRS = 'bbbbbbbbbbbb';

describe('a page that has found its API', () => {
  let page: FakePage;
  let discovery: Discovery;
  let events: string[];

  beforeEach(() => {
    page = new FakePage();
    discovery = page.discovery();
    events = eventsOf(discovery);
  });

  afterEach(() => discovery.close());

  const find = (): Promise<string> => page.clock.settle(discovery.discoverApiEndpoint());
  const call = async (path: string, init?: RequestInit): Promise<string | null> =>
    (await page.clock.settle(discovery.fetch(path, init))).headers.get('x-port');
  const move = (from: number, to: number, listener = helix()): unknown =>
    page.ports.delete(from) && page.ports.set(to, listener);

  it('builds addresses of it, and leaves paths alone until then', async () => {
    page.ports.set(9003, helix());
    assert.equal(discovery.buildUrl('/api/v1/jobs'), '/api/v1/jobs');
    await find();
    assert.equal(discovery.buildUrl('/api/v1/jobs'), `${at(9003)}/api/v1/jobs`);
    assert.equal(discovery.buildUrl('docs'), `${at(9003)}/docs`);
    assert.deepEqual([discovery.api?.base, discovery.api?.by], [at(9003), 'band']);
  });

  it('searches once for all that ask at once', async () => {
    page.ports.set(9003, helix());
    const all = [discovery.discoverApiEndpoint(), discovery.discoverApiEndpoint()];
    assert.deepEqual(await page.clock.settle(Promise.all(all)), [at(9003), at(9003)]);
    assert.equal(page.asked.filter(one => one === '3000/api/v1/health').length, 1);
    assert.deepEqual(events, [`found ${at(9003)} by band`]);
  });

  it('sends a call to where it has moved: the next one succeeds, whatever its method', async () => {
    for (const method of ['GET', 'POST']) {
      page.ports.set(9003, helix());
      assert.equal(await call('/x', { method }), '9003');
      move(9003, 9007);
      assert.equal(await call('/x', { method }), '9007');
      assert.deepEqual(events.splice(0).slice(-3), [
        `lost ${at(9003)}`,
        `found ${at(9007)} by band`,
        `moved ${at(9003)} to ${at(9007)}`,
      ]);
      move(9007, 9003);
    }
  });

  it('succeeds with the very next call, and does not wait for a look of its own', async () => {
    let port = 9003;
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      page.ports.set(port, helix());
      await find();
      move(port, ++port);
      assert.equal(await call('/x', { method }), String(port), method);
    }
  });

  it('does not ask twice for what must not be done twice', async () => {
    page.ports.set(9003, helix());
    await find();
    const { fetch } = page;
    Object.assign(page, {
      fetch: (url: string, init: RequestInit) => {
        // It dies with the request.
        if (init.method === 'POST' && url === `${at(9003)}/x`) move(9003, 9007);
        return fetch(url, init);
      },
    });
    await assert.rejects(call('/x', { method: 'POST' }), /refused/);
    assert.deepEqual(
      page.asked.filter(one => one.startsWith('POST')),
      ['POST 9003/x'],
    );
    assert.equal(await call('/x', { method: 'POST' }), '9007');
  });

  it('leaves a failure that is the call’s own to the caller', async () => {
    page.ports.set(9003, { ...helix(), closed: true });
    page.ports.set(3000, helix());
    await find();
    page.clock.time += 10_000;
    const { fetch } = page;
    Object.assign(page, {
      fetch: (url: string, init: RequestInit) =>
        url.endsWith('/bad') ? Promise.reject(new TypeError('bad')) : fetch(url, init),
    });
    await assert.rejects(call('/bad'), /bad/);
    assert.deepEqual(events, [`found ${at(3000)} by origin`]);
  });

  it('lets calls wait while there is none, and tells them to give up after their time', async () => {
    const early = discovery.fetch('/x');
    const alsoEarly = discovery.fetch('/y', { method: 'POST' });
    await page.clock.pass(5_000);
    page.ports.set(9004, helix());
    const answers = await page.clock.settle(Promise.all([early, alsoEarly]));
    assert.deepEqual(
      answers.map(answer => answer.headers.get('x-port')),
      ['9004', '9004'],
    );
    page.ports.clear();
    await page.clock.pass(2_000);
    const began = page.clock.time;
    await assert.rejects(call('/x'), /No HELIX API was found in time/);
    assert.ok(page.clock.time - began >= 30_000 && page.clock.time - began < 40_000, String(page.clock.time - began));
  });

  it('tells a waiting call at once that several answer', async () => {
    page.ports.set(9003, helix()).set(9004, helix());
    await assert.rejects(call('/x'), { kind: 'ambiguous' });
    assert.deepEqual(events, ['ambiguous']);
    discovery.configure({ apiBase: at(9004) });
    assert.equal(await call('/x'), '9004');
  });

  it('ends a call or a search whose signal aborts, and nothing else', async () => {
    const [search, call] = [new AbortController(), new AbortController()];
    page.ports.set(9003, { ...helix(), afterMs: 1_000 });
    const aborted = [
      discovery.discoverApiEndpoint({ signal: search.signal }),
      discovery.fetch('/x', { signal: call.signal }),
    ];
    const goesOn = discovery.discoverApiEndpoint();
    await page.clock.pass(100);
    search.abort(new Error('enough'));
    call.abort();
    await assert.rejects(aborted[0]!, /enough/);
    await assert.rejects(aborted[1]!, { name: 'AbortError' });
    assert.equal(await page.clock.settle(goesOn), at(9003));
    await assert.rejects(discovery.fetch('/x', { signal: call.signal }), { name: 'AbortError' });
    assert.ok(!page.asked.some(one => one.endsWith('/x')));
  });

  it('notices by itself that it died, and finds it again', async () => {
    page.ports.set(9003, helix());
    await find();
    page.ports.delete(9003);
    await page.clock.pass(20_000);
    assert.equal(discovery.api, undefined);
    assert.equal(events[1], `lost ${at(9003)}`);
    assert.ok(events.length > 3 && events.slice(2).every(one => one === 'notFound'), events.join());
    page.ports.set(9005, helix());
    await page.clock.pass(31_000);
    assert.deepEqual(events.slice(-2), [`found ${at(9005)} by band`, `moved ${at(9003)} to ${at(9005)}`]);
  });

  it('takes one that hangs for dead', async () => {
    page.ports.set(9003, helix());
    await find();
    page.ports.set(9003, hanging);
    await page.clock.pass(10_000);
    assert.equal(events[1], `lost ${at(9003)}`);
  });

  it('asks less and less often while there is none, and at once when the network or the eye is back', async () => {
    await assert.rejects(find());
    const times: number[] = [];
    discovery.addEventListener('notFound', () => times.push(page.clock.time));
    await page.clock.pass(300_000);
    const gaps = times.slice(1).map((time, index) => time - times[index]!);
    assert.ok(gaps[0]! < 1_500, gaps.join());
    assert.ok(gaps.at(-1)! > 20_000 && gaps.at(-1)! < 35_000, gaps.join());
    page.ports.set(9003, helix());
    page.wake();
    await page.clock.pass(1_000);
    assert.equal(events.at(-1), `found ${at(9003)} by band`);
  });

  it('spreads its retries, so that many pages do not come at once', async () => {
    const firstRetry = async (draw: number): Promise<number> => {
      const other = new FakePage();
      other.random = () => draw;
      const own = other.discovery();
      const times: number[] = [];
      own.addEventListener('notFound', () => times.push(other.clock.time));
      await assert.rejects(other.clock.settle(own.discoverApiEndpoint()));
      await other.clock.pass(3_000);
      own.close();
      return times[1]! - times[0]!;
    };
    const [soonest, latest] = [await firstRetry(0), await firstRetry(1)];
    assert.ok(latest - soonest >= 100, `${soonest} to ${latest}`);
  });

  it('asks nobody while nobody looks at it, and looks at once when somebody does', async () => {
    page.ports.set(9003, helix());
    await find();
    page.visible = false;
    await page.clock.pass(10_000);
    const asked = page.asked.length;
    await page.clock.pass(600_000);
    assert.equal(page.asked.length, asked);
    move(9003, 9006);
    page.visible = true;
    page.wake();
    await page.clock.pass(1_000);
    assert.equal(events.at(-1), `moved ${at(9003)} to ${at(9006)}`);
  });

  it('ends everything when it is closed', async () => {
    const waiting = discovery.fetch('/x');
    await page.clock.pass(1_000);
    discovery.close();
    await assert.rejects(waiting, { name: 'AbortError' });
    await assert.rejects(discovery.discoverApiEndpoint(), { name: 'AbortError' });
    const asked = page.asked.length;
    page.wake();
    await page.clock.pass(60_000);
    assert.equal(page.asked.length, asked);
    assert.equal(page.open, 0);
  });

  describe('whose it was', () => {
    it('stays with that workspace when its port becomes a colleague’s', async () => {
      page.ports.set(PROXY, proxyOf(OURS, { api: 9003 })).set(9003, helix());
      assert.equal(await find(), at(PROXY));
      page.ports.set(PROXY, proxyOf(THEIRS, { api: 9008 })).set(9008, helix());
      page.ports.delete(9003);
      await page.clock.pass(30_000);
      assert.equal(events[1], `lost ${at(PROXY)}`);
      assert.equal(discovery.api, undefined);
      page.ports.set(9302, proxyOf(OURS, { api: 9004 })).set(9004, helix());
      assert.equal(await call('/x'), '9302');
      assert.equal(events.at(-1), `moved ${at(PROXY)} to ${at(9302)}`);
    });

    it('a call is not sent to the colleague who has the port now', async () => {
      page.ports.set(9003, helix(OURS));
      await find();
      await page.clock.pass(1_500);
      page.ports.set(9003, helix(THEIRS)).set(9006, helix(OURS));
      assert.equal(await call('/x'), '9006');
      assert.ok(!page.asked.includes('9003/x'));
    });

    it('is told again by the proxy where the API is found beside it', async () => {
      page.ports.set(9301, proxyOf(OURS, { api: 9003 }, false)).set(9003, helix());
      discovery.configure({ workspace: OURS });
      assert.equal(await call('/x'), '9003');
      await page.clock.pass(20_000);
      assert.equal(events.length, 1, events.join());
      page.ports.set(9301, proxyOf(OURS, { api: 9007 }, false)).set(9007, helix());
      assert.equal(await call('/x'), '9007');
    });
  });
});
