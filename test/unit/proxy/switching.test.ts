import assert from 'node:assert/strict';
import { Agent, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { Upstream } from '../../../src/proxy/engine.ts';
import { waitFor } from '../../support/wait.ts';
import { type RunningEngine, snapshotOf, startEmbedded, upstreamAt } from './engines.ts';
import { ask, type Reply, TestServer } from './servers.ts';
import { get } from './behaviour.ts';
import { RawUpstream, Wire } from './wire.ts';

const SWITCHES = 20;
const CLIENTS = 4;

describe('a proxy whose upstreams change', () => {
  const cleanUps: (() => Promise<unknown> | void)[] = [];
  let proxy: RunningEngine;
  beforeEach(async () => {
    proxy = await startEmbedded({ drainMs: 60_000 });
    cleanUps.push(() => proxy.engine.stop());
  });
  afterEach(async () => {
    for (const clean of cleanUps.splice(0).reverse()) await clean();
  });

  async function server(name: string, handle = answer(name)): Promise<TestServer> {
    const started = await TestServer.listen(handle);
    cleanUps.push(() => started.close());
    return started;
  }

  const upstream = (one: TestServer, key: string): Upstream => upstreamAt(one.port, key);

  it(`fails no request over ${SWITCHES} switches under load, POSTs among them, and drops no stream`, async () => {
    let current = await server('0');
    await proxy.engine.update(snapshotOf(upstream(current, 'api#0')));
    const load = new Load(proxy.port);
    for (let generation = 1; generation <= SWITCHES; generation++) {
      const next = await server(String(generation));
      const old = { ...upstream(current, `api#${generation - 1}`), draining: true };
      const stream = await openStream(proxy.port);
      await load.passed(CLIENTS * 4);
      await proxy.engine.update(snapshotOf(old, upstream(next, `api#${generation}`)));
      // Whatever is asked from now on is answered by the new one.
      assert.equal((await ask({ port: proxy.port })).body, String(generation));
      stream.finish();
      assert.equal(await stream.text, 'begin end', 'the stream is whole');
      await proxy.engine.drained(old.key);
      await current.close();
      await proxy.engine.update(snapshotOf(upstream(next, `api#${generation}`)));
      current = next;
    }
    await load.passed(CLIENTS * 4);
    const { failures, answered } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(answered.size > SWITCHES, `${answered.size} generations answered`);
  }).timeout(120_000);

  it('fails no idempotent request when one of two upstreams is cut off in mid-work', async () => {
    const slow = (name: string) => (_request: unknown, response: ServerResponse) =>
      void setTimeout(() => response.end(name), 5);
    const dying = await server('dying', slow('dying'));
    const staying = await server('staying', slow('staying'));
    await proxy.engine.update(snapshotOf(upstream(dying, 'api#1'), upstream(staying, 'api#2')));
    const load = new Load(proxy.port, ['GET', 'PUT', 'DELETE', 'HEAD']);
    await load.passed(50);
    // As a SIGKILL does: the listener goes and every connection with it.
    dying.server.close();
    dying.server.closeAllConnections();
    await load.passed(200);
    const { failures, answered } = await load.stop();
    assert.deepEqual(failures, []);
    assert.deepEqual([...answered].filter(Boolean).sort(), ['dying', 'staying']);
  }).timeout(120_000);

  it('takes an upstream that is back into use again', async () => {
    const one = await server('one');
    const { port } = one;
    const two = await server('two');
    await proxy.engine.update(snapshotOf(upstream(one, 'api#1'), upstream(two, 'api#2')));
    await one.close();
    for (let i = 0; i < 5; i++) assert.equal((await ask({ port: proxy.port })).body, 'two');
    const back = await TestServer.listen(answer('one'), port);
    cleanUps.push(() => back.close());
    await waitFor('it to answer', async () => (await ask({ port: proxy.port })).body === 'one');
  });

  it('gives a request to the upstream with the fewest', async () => {
    const one = await RawUpstream.listen();
    const two = await RawUpstream.listen();
    cleanUps.push(
      () => one.close(),
      () => two.close(),
    );
    await proxy.engine.update(snapshotOf(upstreamAt(one.port), upstreamAt(two.port)));
    const clients: Wire[] = [];
    for (let i = 0; i < 10; i++) {
      const client = await Wire.open(proxy.port);
      cleanUps.push(() => client.close());
      client.send(get());
      clients.push(client);
    }
    await waitFor('all to be passed on', () => one.connections + two.connections === 10);
    assert.deepEqual([one.connections, two.connections], [5, 5]);
    // Three of one's are answered, so the next three are its.
    for (let i = 0; i < 3; i++) await one.answer('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    for (let i = 0; i < 3; i++) {
      const client = await Wire.open(proxy.port);
      cleanUps.push(() => client.close());
      client.send(get());
    }
    await waitFor('three more', () => one.connections + two.connections === 13);
    assert.deepEqual([one.connections, two.connections], [8, 5]);
  });

  it('takes one that breaks every answer out while there is another', async () => {
    const broken = await RawUpstream.listen();
    cleanUps.push(() => broken.close());
    const well = await server('well');
    await proxy.engine.update(snapshotOf(upstreamAt(broken.port, 'broken'), upstream(well, 'well')));
    let isOver = false;
    const breaking = (async () => {
      while (!isOver) {
        const wire = await broken.accept();
        wire.socket.once('data', () => wire.reset());
      }
    })();
    breaking.catch(() => undefined);
    for (let i = 0; i < 20; i++) assert.equal((await ask({ port: proxy.port })).body, 'well');
    isOver = true;
    const { body } = await ask({ port: proxy.port, path: '/__helix/metrics' });
    assert.match(body, /helix_proxy_upstream_state\{upstream="broken",state="out"\} 1/);
  });

  it('ends what does not end by itself after the limit for draining', async () => {
    const impatient = await startEmbedded({ drainMs: 50 });
    cleanUps.push(() => impatient.engine.stop());
    const endless = await server('endless', (_request, response) => void response.write('begin'));
    await impatient.engine.update(snapshotOf(upstream(endless, 'api#1')));
    const client = await Wire.open(impatient.port);
    cleanUps.push(() => client.close());
    client.send(get());
    await client.until('begin');
    await impatient.engine.update(snapshotOf({ ...upstream(endless, 'api#1'), draining: true }));
    await impatient.engine.drained('api#1');
    await client.closed();
    assert.doesNotMatch(client.rest, /0\r\n\r\n/);
  });

  it('has nothing to drain of an upstream that nobody uses or knows', async () => {
    await proxy.engine.update(snapshotOf(upstream(await server('x'), 'api#1')));
    await proxy.engine.drained('api#1');
    await proxy.engine.drained('never heard of');
  });

  it('stops waiting for a drain that is called off', async () => {
    const endless = await server('endless', (_request, response) => void response.write('begin'));
    await proxy.engine.update(snapshotOf(upstream(endless, 'api#1')));
    const client = await Wire.open(proxy.port);
    cleanUps.push(() => client.close());
    client.send(get());
    await client.until('begin');
    const given = new AbortController();
    const drained = proxy.engine.drained('api#1', given.signal);
    given.abort();
    await assert.rejects(drained, { name: 'CancelledError' });
  });

  it('stops with requests open, and gives its port back', async () => {
    const endless = await server('endless', (_request, response) => void response.write('begin'));
    await proxy.engine.update(snapshotOf(upstream(endless, 'api#1')));
    const client = await Wire.open(proxy.port);
    cleanUps.push(() => client.close());
    client.send(get());
    await client.until('begin');
    await proxy.engine.stop();
    await client.closed();
    const again = await TestServer.listen(answer('again'), proxy.port);
    await again.close();
  });

  it('tells the system’s error where the port is taken', async () => {
    const taken = await server('taken');
    const other = (await startEmbedded()).engine;
    cleanUps.push(() => other.stop());
    await other.stop();
    await assert.rejects(other.start({ host: '127.0.0.1', port: taken.port }), { code: 'EADDRINUSE' });
  });
});

const answer =
  (name: string) =>
  ({ url }: IncomingMessage, response: ServerResponse): void => {
    if (url !== '/stream') return void response.end(name);
    response.write('begin ');
    streams.push(response);
  };

const streams: ServerResponse[] = [];

/** A response that goes on until it is told to finish. */
async function openStream(port: number): Promise<{ text: Promise<string>; finish(): void }> {
  const request = httpRequest({ host: '127.0.0.1', port, path: '/stream', agent: false });
  request.end();
  const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream];
  const upstream = streams.pop()!;
  const text = (async () => {
    let all = '';
    for await (const chunk of response) all += String(chunk);
    return all;
  })();
  return { text, finish: () => upstream.end('end') };
}

/** Clients with kept connections that ask one thing after another. */
class Load {
  private count = 0;
  private isOver = false;
  private readonly failures: string[] = [];
  private readonly answered = new Set<string>();
  private readonly agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  private readonly clients: Promise<void>[];

  constructor(
    private readonly port: number,
    private readonly methods: readonly string[] = ['GET', 'POST', 'PUT', 'GET'],
  ) {
    this.clients = Array.from({ length: CLIENTS }, () => this.run());
  }

  /** Resolves once so many further requests have been answered. */
  async passed(count: number): Promise<void> {
    const goal = this.count + count;
    await waitFor(`${count} more answers`, () => this.count >= goal || this.failures.length > 0, { interval: 2 });
  }

  async stop(): Promise<{ failures: readonly string[]; answered: ReadonlySet<string> }> {
    this.isOver = true;
    await Promise.all(this.clients);
    this.agent.destroy();
    const { failures, answered } = this;
    return { failures, answered };
  }

  private async run(): Promise<void> {
    for (let i = 0; !this.isOver; i++) {
      const method = this.methods[i % this.methods.length]!;
      const body = method === 'POST' || method === 'PUT' ? 'some body' : '';
      const reply: Reply | Error = await ask({ port: this.port, method, body, agent: this.agent }).catch(
        (error: Error) => error,
      );
      if (reply instanceof Error) this.failures.push(`${method}: ${reply.message}`);
      else if (reply.status !== 200) this.failures.push(`${method}: ${reply.status} ${reply.body}`);
      else this.answered.add(reply.body);
      this.count++;
    }
  }
}
