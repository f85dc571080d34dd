import assert from 'node:assert/strict';
import type { DiscoveryError } from '../../../src/browser/contract.ts';
import { BANDS, PROXY_PORT } from '../../../src/model/defaults.ts';
import { BAND, FakePage, HEALTHY, hanging, helix, idOf, PROXY, PROXIES, proxyOf } from './fake-page.ts';

const at = (port: number, host = 'localhost'): string => `http://${host}:${port}`;

const OURS = 'aaaaaaaaaaaa';
const THEIRS = 'bbbbbbbbbbbb';

const failure = async (promise: Promise<string>): Promise<DiscoveryError> => {
  const error = await promise.then(
    base => assert.fail(`found ${base}`),
    (cause: unknown) => cause as DiscoveryError,
  );
  assert.equal(error.name, 'DiscoveryError');
  return error;
};

describe('the search of a page for its API', () => {
  let page: FakePage;
  beforeEach(() => {
    page = new FakePage();
  });

  describe('in order', () => {
    it('takes the address that it was given, and asks nobody else', async () => {
      page.metas['helix-api-base'] = `${at(9100)}/`;
      page.ports.set(9100, helix()).set(9003, helix()).set(3000, helix());
      assert.equal(await page.find(), at(9100));
      assert.deepEqual(page.asked, ['9100/api/v1/health']);
    });

    it('prefers the option to the <meta>, and passes one of this machine over that does not answer', async () => {
      page.metas['helix-api-base'] = at(9100);
      page.ports.set(9100, helix()).set(9003, helix());
      assert.equal(await page.find({ apiBase: at(9101) }), at(9003));
    });

    it('takes nothing of this machine in place of an API elsewhere that is down', async () => {
      page.ports.set(9003, helix());
      const error = await failure(page.find({ apiBase: 'https://api.example.com' }));
      assert.match(error.message, /No HELIX API answers at https:\/\/api\.example\.com/);
    });

    it('takes the page’s own origin before all that it would have to look for', async () => {
      page.ports
        .set(3000, helix())
        .set(9003, helix())
        .set(PROXY, proxyOf(OURS, { api: 9003 }));
      assert.equal(await page.find(), at(3000));
      assert.deepEqual(page.asked, ['3000/api/v1/health']);
    });

    it('then the stable proxy', async () => {
      page.stored = JSON.stringify({ base: at(9301), by: 'endpoints', workspace: OURS });
      page.ports
        .set(PROXY, proxyOf(OURS, { api: 9003 }))
        .set(9003, helix())
        .set(9301, proxyOf(OURS, { api: 9003 }));
      assert.equal(await page.find({ workspace: OURS }), at(PROXY));
      assert.ok(!page.asked.some(one => one.startsWith('9003')), page.asked.join());
    });

    it('then what was used last, if it says again whose it is', async () => {
      page.stored = JSON.stringify({ base: at(9301), by: 'endpoints', workspace: OURS });
      page.ports.set(9301, proxyOf(OURS, { api: 9003 })).set(9003, helix());
      assert.equal(await page.find({ workspace: OURS }), at(9301));
      assert.ok(!page.asked.some(one => one.startsWith('9003')), page.asked.join());
      page.ports.set(9301, proxyOf(THEIRS, { api: 9003 }));
      assert.equal((await failure(page.find({ workspace: OURS }))).kind, 'notFound');
    });

    it('then the proxies of the other workspaces’ band, and the band itself', async () => {
      page.ports.set(9302, proxyOf(OURS, { api: 9003 })).set(9003, helix());
      assert.equal(await page.find({ workspace: OURS }), at(9302));
      page.ports.delete(9302);
      assert.equal(await page.find(), at(9003));
    });

    it('looks where HELIX is unless told otherwise', async () => {
      const usual = { band: BANDS.api, proxyPort: PROXY_PORT, proxyBand: BANDS.proxy };
      page.ports.set(BANDS.api.to, helix());
      assert.equal(await page.find(usual), at(BANDS.api.to));
      page.ports.set(BANDS.proxy.to, proxyOf(OURS, { api: BANDS.api.to }));
      assert.equal(await page.find(usual), at(BANDS.proxy.to));
    });

    it('survives whatever the storage holds', async () => {
      page.ports.set(9003, helix());
      for (const stored of ['', 'null', '5', '{"base":7}', '{"base":"no address","workspace":"x"}', '{']) {
        page.stored = stored;
        assert.equal(await page.find(), at(9003));
      }
      assert.match(page.stored!, /9003/);
    });
  });

  describe('where it looks', () => {
    it('is this machine for a file, by both of its names', async () => {
      page = new FakePage('file:///home/me/helix/frontend/index.html');
      page.ports.set(9003, { ...helix(), host: 'localhost' });
      assert.equal(await page.find(), at(9003));
      page.ports.set(9003, { ...helix(), host: '127.0.0.1' });
      assert.equal(await page.find(), at(9003, '127.0.0.1'));
    });

    it('prefers the name that the page was opened by, whose cookies it has', async () => {
      for (const host of ['localhost', '127.0.0.1', '[::1]']) {
        page = new FakePage(`http://${host}:3000/`);
        page.ports.set(9003, helix());
        assert.equal(await page.find(), at(9003, host));
      }
    });

    it('finds 127.0.0.1’s API behind a stranger, or one that hangs, on ::1', async () => {
      for (const stranger of [hanging, { answers: { '/': {} } }]) {
        page = new FakePage();
        const { fetch } = page;
        page.ports.set(9003, helix());
        Object.assign(page, {
          fetch: (url: string, init: RequestInit) =>
            fetch(url.startsWith(at(9003)) ? url.replace('9003', '9999') : url, init),
        });
        page.ports.set(9999, stranger);
        assert.equal(await page.find(), at(9003, '127.0.0.1'));
      }
    });

    it('is its own host for a page of the local network, and nowhere for one from the internet', async () => {
      page = new FakePage('http://devbox:3000/');
      page.ports.set(9003, { ...helix(), host: 'devbox' });
      assert.equal(await page.find(), at(9003, 'devbox'));
      for (const origin of ['https://example.com/', 'http://example.com/', 'https://devbox/']) {
        page = new FakePage(origin);
        page.ports.set(9003, helix());
        await failure(page.find());
        assert.deepEqual(page.asked, ['/api/v1/health']);
      }
    });
  });

  describe('within its limits', () => {
    const usual = { band: BANDS.api, proxyPort: PROXY_PORT, proxyBand: BANDS.proxy };

    it('misses no place of the band, whichever 20 of its ports hang', async function () {
      this.timeout(120_000);
      for (let port = BANDS.api.from; port <= BANDS.api.to; port++) {
        page = new FakePage();
        // Every fifth port hangs, in five different ways, so that each place has hanging neighbours.
        for (let other = BANDS.api.from + (port % 5); other <= BANDS.api.to; other += 5) page.ports.set(other, hanging);
        page.ports.set(port, helix());
        assert.equal(await page.find(usual), at(port));
        assert.ok(page.clock.time <= 3_000, `${port}: ${page.clock.time} ms`);
      }
    });

    it('takes an answer that comes at the last moment, and none after 2 s', async () => {
      page.ports.set(9003, { ...helix(), afterMs: 1_999 });
      assert.equal(await page.find(), at(9003));
      page.ports.set(9003, { ...helix(), afterMs: 2_001 });
      assert.equal((await failure(page.find())).kind, 'notFound');
    });

    it('ends after 5 s when everything hangs, own origin, proxies and all', async () => {
      page.stored = JSON.stringify({ base: at(9301), by: 'endpoints', workspace: OURS });
      for (let port = 1; port < 10_000; port++) page.ports.set(port, hanging);
      await failure(page.find({ ...usual, apiBase: at(9100), workspace: OURS }));
      assert.ok(page.clock.time <= 5_000, `${page.clock.time} ms`);
      assert.equal(page.open, 0);
    });

    it('has no more connections open at once than a browser allows for all its pages', async () => {
      for (let port = 1; port < 10_000; port++) page.ports.set(port, hanging);
      await failure(page.find(usual));
      assert.ok(page.mostOpen <= 128, String(page.mostOpen));
      assert.ok(page.mostOpen > 100, String(page.mostOpen));
    });

    it('is not held up by an own origin that hangs', async () => {
      page.ports.set(3000, hanging).set(PROXY, proxyOf(OURS, { api: 9003 }));
      assert.equal(await page.find({ workspace: OURS }), at(PROXY));
      assert.ok(page.clock.time < 500, `${page.clock.time} ms`);
    });
  });

  describe('takes for HELIX', () => {
    const strangers: Record<string, unknown> = {
      'another status': { ...HEALTHY, status: 'degraded' },
      'no components': { status: 'healthy' },
      'no object': 'healthy',
      null: null,
      'a list': ['healthy'],
    };
    for (const [what, body] of Object.entries(strangers)) {
      it(`not ${what}`, async () => {
        page.ports.set(9003, { answers: { '/api/v1/health': body } });
        assert.equal((await failure(page.find())).kind, 'notFound');
      });
    }

    it('not a proxy whose endpoints are something else', async () => {
      for (const body of [null, 5, {}, { workspace: OURS }, { workspace: 1, services: [] }]) {
        page.ports.set(PROXY, { answers: { '/__helix/endpoints': body, '/api/v1/health': HEALTHY } });
        assert.equal((await failure(page.find({ workspace: OURS }))).kind, 'notFound');
      }
    });
  });
});

describe('whose API it is', () => {
  let page: FakePage;
  beforeEach(() => {
    page = new FakePage();
  });

  it('is told by the proxies: ours is taken, wherever a colleague’s is', async () => {
    page.ports.set(PROXY, proxyOf(THEIRS, { api: 9000 })).set(9000, helix());
    page.ports.set(9304, proxyOf(OURS, { api: 9009 })).set(9009, helix());
    assert.equal(await page.find({ workspace: OURS }), at(9304));
    assert.equal(await page.find({ workspace: THEIRS }), at(PROXY));
    page.metas['helix-workspace'] = OURS;
    assert.equal(await page.find(), at(9304));
  });

  it('is told by the API itself where it repeats the id in its health', async () => {
    page.ports.set(9000, helix(THEIRS)).set(9009, helix(OURS));
    assert.equal(await page.find({ workspace: OURS }), at(9009));
    assert.equal(await page.find({ workspace: THEIRS }), at(9000));
  });

  it('known, a colleague’s is never taken: not the only one, not one that says nothing, not at our own origin', async () => {
    page.ports.set(PROXY, proxyOf(THEIRS, { api: 9000 })).set(9000, helix());
    page.ports.set(9005, helix());
    page.ports.set(3000, helix(THEIRS));
    const error = await failure(page.find({ workspace: OURS, anyWorkspace: true }));
    assert.equal(error.kind, 'notFound');
    assert.match(error.message, /Not known to be of its workspace: .*9005/);
    page.ports.set(3000, proxyOf(THEIRS, { api: 9000 }));
    assert.equal((await failure(page.find({ workspace: OURS }))).kind, 'notFound');
  });

  it('is told by the page’s own origin where that is a development server of the workspace', async () => {
    page.ports.set(PROXY, proxyOf(THEIRS, { api: 9000, web: 5173 })).set(9000, helix());
    page.ports.set(9303, proxyOf(OURS, { api: 9009, web: 3000 })).set(9009, helix());
    page.stored = JSON.stringify({ base: at(PROXY), by: 'proxy', workspace: THEIRS });
    assert.equal(await page.find(), at(9303));
  });

  it('is told by the place of a page that was opened as a file', async () => {
    page = new FakePage('file:///home/me/my%20helix/frontend/index.html');
    const [mine, colleague] = [idOf('/home/me/my helix'), idOf('/home/you/helix')];
    page.ports.set(PROXY, proxyOf(colleague, { api: 9000 })).set(9000, helix());
    page.ports.set(9304, proxyOf(mine, { api: 9009 })).set(9009, helix());
    assert.equal(await page.find(), at(9304, '127.0.0.1'));
    page.ports.delete(9304);
    page.ports.delete(9009);
    assert.equal((await failure(page.find())).kind, 'notFound');
    assert.equal(await page.find({ anyWorkspace: true }), at(PROXY, '127.0.0.1'));
  });

  it('is told by the place of a file on Windows as well', async () => {
    page = new FakePage('file:///C:/Users/Me/helix/index.html');
    page.ports.set(9000, helix(THEIRS)).set(9009, helix(idOf('c:\\Users\\Me\\helix')));
    assert.equal(await page.find(), at(9009, '127.0.0.1'));
  });

  it('unknown, the only one is taken, once however many ways lead to it', async () => {
    page.ports.set(PROXY, proxyOf(THEIRS, { api: 9000, worker: 9100 })).set(9000, helix());
    assert.equal(await page.find(), at(PROXY));
  });

  it('unknown, of several none is taken, and they are named', async () => {
    page.ports.set(9000, helix()).set(9009, helix());
    const error = await failure(page.find());
    assert.equal(error.kind, 'ambiguous');
    assert.deepEqual(error.candidates.map(({ base }) => base).sort(), [at(9000), at(9009)]);
    assert.match(error.message, /helix-workspace/);
    page.ports.set(PROXY, proxyOf(THEIRS, { api: 9000 }));
    assert.equal((await failure(page.find())).kind, 'ambiguous');
  });

  it('unknown, the first by preference is taken if any will do', async () => {
    page.ports
      .set(9000, helix())
      .set(9302, proxyOf(THEIRS, { api: 9009 }))
      .set(9009, helix());
    assert.equal(await page.find({ anyWorkspace: true }), at(9302));
  });

  it('unknown, a slow one still counts: the first is not taken because the second is late', async () => {
    page.ports.set(9000, helix()).set(9009, { ...helix(), afterMs: 1_900 });
    assert.equal((await failure(page.find())).kind, 'ambiguous');
  });

  it('unknown, the one that this origin used last is taken again if it can be told apart', async () => {
    page.ports.set(9000, helix(OURS)).set(9009, helix(THEIRS));
    page.stored = JSON.stringify({ base: at(9005), by: 'band', workspace: OURS });
    assert.equal(await page.find(), at(9000));
    page.stored = JSON.stringify({ base: at(9000), by: 'band' });
    assert.equal((await failure(page.find())).kind, 'ambiguous');
  });

  it('is never the wrong one, over 1,000 draws of who runs where', async function () {
    this.timeout(120_000);
    const random = drawing(20_260_724);
    const outcomes = { found: 0, down: 0 };
    for (let draw = 0; draw < 1_000; draw++) {
      page = new FakePage();
      const [mine, other, ...silent] = shuffled(portsOf(BAND), random) as [number, number, ...number[]];
      const [myProxy, otherProxy] = shuffled([PROXY, ...portsOf(PROXIES)], random) as [number, number];
      const up = { mine: random() < 0.8, proxy: random() < 0.8, self: random() < 0.5 };
      if (up.mine) page.ports.set(mine, helix(up.self ? OURS : undefined));
      if (up.proxy) page.ports.set(myProxy, proxyOf(OURS, up.mine ? { api: mine } : {}, up.mine));
      page.ports.set(other, helix(random() < 0.5 ? THEIRS : undefined));
      if (random() < 0.8) page.ports.set(otherProxy, proxyOf(THEIRS, { api: other }));
      if (random() < 0.3) page.ports.set(silent[0]!, helix()).set(silent[1]!, hanging);
      if (random() < 0.5) page.stored = JSON.stringify({ base: at(random() < 0.5 ? other : mine), workspace: OURS });
      const own = [mine, myProxy].map(port => at(port));
      const base = await page.find({ workspace: OURS }).catch(() => undefined);
      const canBeTold = up.mine && (up.proxy || up.self);
      if (canBeTold) assert.ok(base && own.includes(base), `draw ${draw}: ${base} instead of ${own.join(' or ')}`);
      else assert.equal(base, undefined, `draw ${draw}`);
      outcomes[base ? 'found' : 'down']++;
    }
    assert.ok(outcomes.found > 500 && outcomes.down > 100, JSON.stringify(outcomes));
  });
});

describe('a page that finds nothing', () => {
  it('is told which listeners answer and may not be read from its origin', async () => {
    const page = new FakePage();
    page.ports.set(9003, { ...helix(), closed: true }).set(9004, hanging);
    const error = await failure(page.find());
    assert.deepEqual(error.unreadable, [at(9003)]);
    assert.match(
      error.message,
      /Not readable: http:\/\/localhost:9003\. .*add http:\/\/localhost:3000 to its ALLOWED_ORIGINS/,
    );
  });

  it('is told where it was looked', async () => {
    const error = await failure(new FakePage().find());
    assert.match(error.message, /No HELIX API was found for this page on ports 9000-9009/);
    assert.deepEqual([error.candidates, error.unreadable], [[], []]);
  });
});

const portsOf = ({ from, to }: { from: number; to: number }): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** mulberry32: the same draws each time. */
function drawing(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let value = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map(item => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
