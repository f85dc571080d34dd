import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProxyLimits, ProxySnapshot, Upstream } from '../../../src/proxy/engine.ts';
import { Cleanup } from '../run/harness.ts';
import { get } from './behaviour.ts';
import { ENGINES, type EngineKind, type RunningEngine, snapshotOf, upstreamAt } from './engines.ts';
import { ask, TestServer } from './servers.ts';
import { Wire } from './wire.ts';

const SHORT_MS = 1_000;
/** No test is to see the end of it. */
const LONG_MS = 600_000;
/** Longer than the short limit, with all that an engine adds to it. A slow machine makes it longer, which does no harm. */
const BEYOND_SHORT_MS = 2_500;

for (const kind of ENGINES) describe(`draining with the ${kind.kind} engine`, () => draining(kind));

function draining(kind: EngineKind): void {
  const cleanup = new Cleanup();
  let proxy: RunningEngine;
  let old: Upstream;
  let next: Upstream;

  /** One open request to the old upstream, and how its server goes on with it. */
  async function open(test: Mocha.Context, limits: Partial<ProxyLimits>): Promise<[Wire, ServerResponse]> {
    const started = await kind.start(limits);
    if ('missing' in started) {
      console.log(`skipped: ${started.missing}`);
      return test.skip();
    }
    proxy = started;
    cleanup.add(() => proxy.stop());
    const begun: ServerResponse[] = [];
    const slow = await TestServer.listen((_request, response) => {
      begun.push(response);
      response.write('begin');
    });
    cleanup.add(() => slow.close());
    const well = await TestServer.listen((_request, response) => void response.end('next'));
    cleanup.add(() => well.close());
    old = upstreamAt(slow.port, 'api#1');
    next = upstreamAt(well.port, 'api#2');
    await proxy.engine.update(snapshotOf(old));
    const client = await Wire.open(proxy.port);
    cleanup.add(() => client.close());
    client.send(get());
    await client.until('begin');
    return [client, begun[0]!];
  }

  const serving = (changes: Partial<ProxySnapshot> = {}): Promise<void> =>
    proxy.engine.update({ ...snapshotOf(old), ...changes });
  const switching = (changes: Partial<ProxySnapshot> = {}): Promise<void> =>
    proxy.engine.update({ ...snapshotOf({ ...old, draining: true }, next), ...changes });

  async function finishes(client: Wire, response: ServerResponse): Promise<void> {
    response.end('whole');
    await client.until('whole\r\n0\r\n\r\n');
  }

  afterEach(() => cleanup.run());

  it('ends what does not end by itself after the limit, and nothing else', async function () {
    const [client] = await open(this, { drainMs: SHORT_MS });
    await switching();
    await proxy.engine.drained(old.key);
    await client.closed();
    assert.doesNotMatch(client.rest, /0\r\n\r\n/);
    assert.equal((await ask({ port: proxy.port })).body, 'next');
  }).timeout(60_000);

  it('has a longer limit for what drains after it was changed, and cuts nothing off for that', async function () {
    const [client, response] = await open(this, { drainMs: SHORT_MS });
    await serving({ drainMs: LONG_MS });
    await sleep(BEYOND_SHORT_MS);
    assert.equal(client.isOver, false, 'nothing drains yet');
    await switching({ drainMs: LONG_MS });
    const drained = proxy.engine.drained(old.key);
    await sleep(BEYOND_SHORT_MS);
    await finishes(client, response);
    await drained;
  }).timeout(60_000);

  it('has a shorter limit for what drains after it was changed', async function () {
    const [client] = await open(this, { drainMs: LONG_MS });
    await serving({ drainMs: SHORT_MS });
    await switching({ drainMs: SHORT_MS });
    await proxy.engine.drained(old.key);
    await client.closed();
  }).timeout(60_000);

  it('leaves the limit as it was for what is draining', async function () {
    const [client, response] = await open(this, { drainMs: LONG_MS });
    await switching();
    await switching({ drainMs: SHORT_MS });
    await sleep(BEYOND_SHORT_MS);
    await finishes(client, response);
    await proxy.engine.drained(old.key);
  }).timeout(60_000);

  it('cuts nothing off where nothing drains', async function () {
    const [client, response] = await open(this, { drainMs: SHORT_MS });
    await proxy.engine.update(snapshotOf(old, next));
    await proxy.engine.update({ ...snapshotOf(old, next), origins: ['http://localhost:3000'] });
    await sleep(BEYOND_SHORT_MS);
    await finishes(client, response);
  }).timeout(60_000);
}
