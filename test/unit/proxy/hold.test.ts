import assert from 'node:assert/strict';
import type { ProxyLimits } from '../../../src/proxy/engine.ts';
import { waitFor } from '../../support/wait.ts';
import { type RunningEngine, snapshotOf, startEmbedded, upstreamAt } from './engines.ts';
import { ask, TestServer } from './servers.ts';
import { get, head, OK } from './behaviour.ts';
import { RawUpstream, status, Wire } from './wire.ts';

describe('a proxy whose upstream is away', () => {
  const cleanUps: (() => Promise<unknown> | void)[] = [];
  afterEach(async () => {
    for (const clean of cleanUps.splice(0).reverse()) await clean();
  });

  async function engine(limits: Partial<ProxyLimits> = {}): Promise<RunningEngine> {
    const running = await startEmbedded(limits);
    cleanUps.push(() => running.engine.stop());
    return running;
  }

  async function server(name: string, port = 0): Promise<TestServer> {
    const started = await TestServer.listen((_request, response) => response.end(name), port);
    cleanUps.push(() => started.close());
    return started;
  }

  /** Of nobody, until somebody listens there. */
  async function unusedPort(): Promise<number> {
    const one = await TestServer.listen(() => undefined);
    const { port } = one;
    await one.close();
    return port;
  }

  async function wire(port: number): Promise<Wire> {
    const opened = await Wire.open(port);
    cleanUps.push(() => opened.close());
    return opened;
  }

  const held = async (port: number): Promise<number> => {
    const { body } = await ask({ port, path: '/health' });
    return (JSON.parse(body) as { held: number }).held;
  };

  it('holds requests until there is one, POSTs too', async () => {
    const { engine: proxy, port } = await engine({ holdMs: 60_000 });
    const answers = [ask({ port }), ask({ port, method: 'POST', body: 'x' })];
    await waitFor('both to be held', async () => (await held(port)) === 2);
    await proxy.update(snapshotOf(upstreamAt((await server('here')).port)));
    assert.deepEqual(
      (await Promise.all(answers)).map(one => one.body),
      ['here', 'here'],
    );
  });

  it('holds requests while connections are refused, and sends them when they are not', async () => {
    const { engine: proxy, port } = await engine({ holdMs: 60_000 });
    const later = await unusedPort();
    await proxy.update(snapshotOf(upstreamAt(later)));
    const answers = Array.from({ length: 20 }, (_, i) => ask({ port, method: i % 2 ? 'POST' : 'GET' }));
    await waitFor('them to be held', async () => (await held(port)) >= 19);
    await server('back', later);
    for (const { body } of await Promise.all(answers)) assert.equal(body, 'back');
  });

  it('says 503 and when to come again after the limit, as JSON to programs', async () => {
    const { port } = await engine({ holdMs: 50 });
    const reply = await ask({ port });
    assert.equal(reply.status, 503);
    assert.equal(reply.headers['retry-after'], '1');
    assert.equal(reply.headers['content-type'], 'application/json');
    assert.equal((JSON.parse(reply.body) as { error: { code: string } }).error.code, 'no_upstream');
  });

  it('shows browsers a page that looks for the service and loads again, and runs nothing else', async () => {
    const { port } = await engine({ holdMs: 50 });
    const reply = await ask({ port, path: '/<script>', headers: { Accept: 'text/html,*/*' } });
    assert.equal(reply.status, 503);
    assert.match(reply.body, /location\.reload\(\)/);
    assert.doesNotMatch(reply.body, /\/<script>/);
    assert.match(String(reply.headers['content-security-policy']), /default-src 'none'.*script-src 'sha256-/);
  });

  it('lets a client that is still sending read its 503, and goes on with the connection', async () => {
    const { port } = await engine({ holdMs: 50 });
    const client = await wire(port);
    const size = 20 << 20;
    client.send(head('POST /upload HTTP/1.1', 'Host: localhost', `Content-Length: ${size}`));
    assert.equal(status(await client.message()), 503);
    client.send('x'.repeat(size)).send(get('/health'));
    assert.equal(status(await client.message()), 200);
  });

  it('holds no more than so many', async () => {
    const { engine: proxy, port } = await engine({ holdMs: 60_000, maxHeld: 3 });
    const answers = Array.from({ length: 3 }, () => ask({ port }));
    await waitFor('three to be held', async () => (await held(port)) === 3);
    assert.equal((await ask({ port })).status, 503);
    await proxy.update(snapshotOf(upstreamAt((await server('here')).port)));
    assert.deepEqual(
      (await Promise.all(answers)).map(one => one.status),
      [200, 200, 200],
    );
  });

  it('holds no more than so many bytes', async () => {
    const { port } = await engine({ holdMs: 60_000, maxHeldBytes: 5_000 });
    const first = await wire(port);
    first.send(get('/', `X-Big: ${'x'.repeat(3_000)}`));
    await waitFor('one to be held', async () => (await held(port)) === 1);
    assert.equal((await ask({ port, headers: { 'X-Big': 'x'.repeat(3_000) } })).status, 503);
    first.close();
    await waitFor('the one that left to be forgotten', async () => (await held(port)) === 0);
  });

  it('reads nothing of the body of a request that waits', async () => {
    const { engine: proxy, port } = await engine({ holdMs: 60_000 });
    const client = await wire(port);
    client.send(head('PUT / HTTP/1.1', 'Host: localhost', 'Content-Length: 33554432'));
    client.send('x'.repeat(32 << 20));
    await waitFor('it to be held', async () => (await held(port)) === 1);
    // The kernel takes some of it; the rest stays with the client.
    assert.ok(client.socket.writableLength > 16 << 20, `${client.socket.writableLength} bytes left`);
    const got = await TestServer.listen((request, response) => {
      let bytes = 0;
      request.on('data', (chunk: Buffer) => (bytes += chunk.length));
      request.on('end', () => response.end(String(bytes)));
    });
    cleanUps.push(() => got.close());
    await proxy.update(snapshotOf(upstreamAt(got.port)));
    assert.equal((await client.message()).body, '33554432');
  });

  it('sends a request that got nothing back to the next upstream, if asking twice is like asking once', async () => {
    const { engine: proxy, port } = await engine();
    const dying = await RawUpstream.listen();
    cleanUps.push(() => dying.close());
    const next = await TestServer.listen((request, response) => void request.pipe(response));
    cleanUps.push(() => next.close());
    for (const method of ['GET', 'PUT', 'DELETE']) {
      await proxy.update(snapshotOf(upstreamAt(dying.port)));
      const answer = ask({ port, method, body: method === 'GET' ? '' : 'body' });
      const first = await dying.accept();
      await first.message();
      await proxy.update(snapshotOf({ ...upstreamAt(dying.port), draining: true }, upstreamAt(next.port)));
      first.reset();
      assert.deepEqual(
        [method, (await answer).status, (await answer).body],
        [method, 200, method === 'GET' ? '' : 'body'],
      );
    }
  });

  it('does not send a POST again that may have been carried out', async () => {
    const { engine: proxy, port } = await engine();
    const dying = await RawUpstream.listen();
    cleanUps.push(() => dying.close());
    await proxy.update(snapshotOf(upstreamAt(dying.port)));
    const answer = ask({ port, method: 'POST', body: 'x' });
    const first = await dying.accept();
    await first.message();
    first.reset();
    assert.equal((await answer).status, 502);
    assert.equal(dying.connections, 1);
  });

  it('does not send a request again of whose answer something has come', async () => {
    const { engine: proxy, port } = await engine();
    const dying = await RawUpstream.listen();
    cleanUps.push(() => dying.close());
    await proxy.update(snapshotOf(upstreamAt(dying.port)));
    const client = await wire(port);
    client.send(get());
    const { wire: first } = await dying.answer('HTTP/1.1 200 OK\r\nContent-');
    first.end();
    assert.equal(status(await client.message()), 502);
    assert.equal(dying.connections, 1);
  });

  it('gives a body that is too big to keep to nobody else', async () => {
    const { engine: proxy, port } = await engine({ maxReplayBytes: 10 });
    const dying = await RawUpstream.listen();
    cleanUps.push(() => dying.close());
    await proxy.update(snapshotOf(upstreamAt(dying.port)));
    const answer = ask({ port, method: 'PUT', body: 'more than ten bytes' });
    const first = await dying.accept();
    await first.message();
    first.reset();
    assert.equal((await answer).status, 502);
    assert.equal(dying.connections, 1);
  });

  it('gives up on an upstream that resets every time', async () => {
    const { engine: proxy, port } = await engine();
    const dying = await RawUpstream.listen();
    cleanUps.push(() => dying.close());
    await proxy.update(snapshotOf(upstreamAt(dying.port)));
    const answer = ask({ port });
    for (let i = 0; i < 4; i++) {
      const one = await dying.accept();
      await one.message();
      one.reset();
    }
    assert.equal((await answer).status, 502);
    assert.equal(dying.connections, 4);
  });

  it('opens a WebSocket that had to wait', async () => {
    const { engine: proxy, port } = await engine({ holdMs: 60_000 });
    const client = await wire(port);
    client.send(head('GET / HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket'));
    await waitFor('it to be held', async () => (await held(port)) === 1);
    const upstream = await RawUpstream.listen();
    cleanUps.push(() => upstream.close());
    await proxy.update(snapshotOf(upstreamAt(upstream.port)));
    await upstream.answer(head('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'));
    assert.equal(status(await client.head()), 101);
  });

  it('answers OK at once when there is one', async () => {
    const { engine: proxy, port } = await engine();
    const upstream = await RawUpstream.listen();
    cleanUps.push(() => upstream.close());
    await proxy.update(snapshotOf(upstreamAt(upstream.port)));
    const client = await wire(port);
    client.send(get());
    await upstream.answer(OK);
    assert.equal((await client.message()).body, 'ok');
  });
});
