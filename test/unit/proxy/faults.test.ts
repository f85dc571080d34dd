import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { ProxyLimits } from '../../../src/proxy/engine.ts';
import { waitFor } from '../../support/wait.ts';
import { type EngineKind, ENGINES, type RunningEngine, snapshotOf, upstreamAt } from './engines.ts';
import { ask, TestServer } from './servers.ts';
import { get, head } from './behaviour.ts';
import { RawUpstream, status, Wire } from './wire.ts';

const POST = ['POST / HTTP/1.1', 'Host: localhost'];
const IDLE = 2_000;
/** Sent through in the suite; the benchmark sends 1 GB. */
const MEGABYTES = 64;

for (const kind of ENGINES) {
  describe(`the ${kind.kind} engine among clients and upstreams that misbehave`, () => misbehaviour(kind));
}

function misbehaviour({ kind, start }: EngineKind): void {
  /** nginx closes the connections of clients that are too slow without a word. */
  const tells408 = kind === 'embedded';
  /** nginx counts connections to both sides together, and closes the oldest idle ones before it refuses new ones. */
  const limitsClients = kind === 'embedded';
  const cleanUps: (() => Promise<unknown> | void)[] = [];
  before(async function () {
    const started = await start();
    if (!('missing' in started)) return started.stop();
    console.log(`skipped: ${started.missing}`);
    this.skip();
  });
  afterEach(async () => {
    for (const clean of cleanUps.splice(0).reverse()) await clean();
  });

  async function engine(limits: Partial<ProxyLimits> = {}): Promise<RunningEngine> {
    const running = await start(limits);
    if ('missing' in running) throw new Error(running.missing);
    cleanUps.push(running.stop);
    return running;
  }

  async function raw(proxy: RunningEngine): Promise<RawUpstream> {
    const upstream = await RawUpstream.listen();
    cleanUps.push(() => upstream.close());
    await proxy.engine.update(snapshotOf(upstreamAt(upstream.port)));
    return upstream;
  }

  async function wire(port: number): Promise<Wire> {
    const opened = await Wire.open(port);
    cleanUps.push(() => opened.close());
    return opened;
  }

  /** Whatever happened before, it still works. */
  async function works({ engine: proxy, port }: RunningEngine): Promise<void> {
    const server = await TestServer.listen((_request, response) => response.end('well'));
    cleanUps.push(() => server.close());
    await proxy.update(snapshotOf(upstreamAt(server.port, 'well')));
    assert.equal((await ask({ port })).body, 'well');
  }

  it('ends a client that does not finish its head', async () => {
    const proxy = await engine({ headersTimeoutMs: 200 });
    const client = await wire(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: loc');
    const drip = setInterval(() => client.send('a'), 20);
    await client.closed().finally(() => clearInterval(drip));
    assert.match(client.rest, tells408 ? /^HTTP\/1\.1 408 / : /^$/);
    await works(proxy);
  });

  it('ends a client that says nothing at all', async () => {
    const proxy = await engine({ headersTimeoutMs: 200 });
    const client = await wire(proxy.port);
    await client.closed();
    await works(proxy);
  });

  it('ends a client that stops in the middle of its body, and the upstream’s request with it', async () => {
    const proxy = await engine({ bodyIdleMs: 200 });
    const upstream = await raw(proxy);
    const client = await wire(proxy.port);
    client.send(`${head(...POST, 'Content-Length: 10')}half`);
    const at = await upstream.accept();
    await at.until('half');
    if (tells408) assert.equal(status(await client.message()), 408);
    await client.closed();
    await at.closed();
    await works(proxy);
  });

  it('ends an idle client after the keep-alive’s time', async () => {
    const proxy = await engine({ keepAliveMs: 100 });
    const client = await wire(proxy.port);
    client.send(get('/health'));
    await client.message();
    assert.equal(await client.closed(), 'end');
  });

  for (const [name, request] of [
    ['without a body', get()],
    ['with one', `${head(...POST, 'Content-Length: 2')}ab`],
    ['for a WebSocket', head('GET / HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket')],
  ] as const) {
    it(`says 504 of an upstream that takes a request ${name} and never answers, and asks it once`, async () => {
      // undici looks at its timers about twice a second.
      const proxy = await engine({ responseMs: 300 });
      const upstream = await raw(proxy);
      const client = await wire(proxy.port);
      client.send(request);
      const at = await upstream.accept();
      assert.equal(status(await client.message()), 504);
      await at.closed();
      assert.equal(upstream.connections, 1);
      await works(proxy);
    });
  }

  it('lets a stream be silent for longer than an answer may take', async () => {
    const proxy = await engine({ responseMs: 300 });
    const upstream = await raw(proxy);
    const client = await wire(proxy.port);
    client.send(get('/', 'Accept: text/event-stream'));
    const { wire: at } = await upstream.answer(head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'));
    await client.head();
    // Another request runs into the limit meanwhile, so the time has passed for sure.
    const other = await wire(proxy.port);
    other.send(`${head(...POST, 'Content-Length: 2')}ab`);
    assert.equal(status(await other.message()), 504);
    at.send('2\r\nok\r\n0\r\n\r\n');
    await client.until('ok');
  });

  it('survives upstreams that send anything at any time', async () => {
    const proxy = await engine();
    const upstream = await raw(proxy);
    const nonsense = [
      '\0\0\0\0',
      'HTTP/1.1\r\n\r\n',
      'HTTP/1.1 2000 OK\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nX: \x01\r\nContent-Length: 2\r\n\r\nok',
    ];
    const clients: Wire[] = [];
    for (const text of nonsense) {
      for (const request of [get(), `${head(...POST, 'Content-Length: 2')}ab`]) {
        const client = await wire(proxy.port);
        client.send(request);
        const { wire: at } = await upstream.answer(text);
        at.end();
        await client.heard();
        clients.push(client);
      }
    }
    await works(proxy);
    // An answer or an end, and never an answer that nobody asked for.
    assert.deepEqual(
      clients.filter(client => client.rest.includes('evil')),
      [],
    );
  });

  it(`serves on among ${IDLE} idle connections${limitsClients ? ', and no more than so many' : ''}`, async () => {
    const proxy = await engine({ maxConnections: IDLE + 50, headersTimeoutMs: 120_000 });
    const idle: Wire[] = [];
    while (idle.length < IDLE) idle.push(...(await Promise.all(Array.from({ length: 100 }, () => wire(proxy.port)))));
    await works(proxy);
    if (!limitsClients) return;
    const more = await Promise.all(Array.from({ length: 100 }, () => wire(proxy.port)));
    await waitFor('those above the limit to be dropped', () => more.filter(one => one.isOver).length >= 50);
    for (const one of more) one.close();
    await waitFor('it to serve again', () => works(proxy).then(() => true));
  }).timeout(120_000);

  it('does not let a client that does not read fill its memory', async () => {
    const proxy = await engine();
    let sent = 0;
    const chunk = Buffer.alloc(1 << 16, 'x');
    const server = await TestServer.listen((_request, response) => {
      const more = (): void => {
        while (sent < MEGABYTES << 20) {
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    cleanUps.push(() => server.close());
    await proxy.engine.update(snapshotOf(upstreamAt(server.port)));
    const client = connect(proxy.port, '127.0.0.1').pause();
    cleanUps.push(() => void client.destroy());
    client.write(get());
    await standsStill(() => sent);
    // What the kernel's buffers of two connections hold, and no multiple of it.
    assert.ok(sent < (MEGABYTES << 20) / 2, `${sent} bytes were taken from the upstream`);
    let received = 0;
    client.on('data', chunk => (received += chunk.length)).resume();
    await waitFor('all to be received', () => received > MEGABYTES << 20);
    assert.equal(sent, MEGABYTES << 20);
  }).timeout(60_000);

  it('does not let an upstream that does not read fill its memory', async () => {
    const proxy = await engine();
    let received = 0;
    let begin = (): void => undefined;
    const server = await TestServer.listen((request, response) => {
      begin = () => {
        request.on('data', (chunk: Buffer) => (received += chunk.length));
        request.on('end', () => response.end('ok'));
      };
    });
    cleanUps.push(() => server.close());
    await proxy.engine.update(snapshotOf(upstreamAt(server.port)));
    const client = await wire(proxy.port);
    client.send(head(...POST, `Content-Length: ${MEGABYTES << 20}`));
    client.socket.write(Buffer.alloc(MEGABYTES << 20, 'x'));
    await standsStill(() => client.socket.bytesWritten - client.socket.writableLength);
    assert.ok(client.socket.writableLength > (MEGABYTES << 20) / 2, `${client.socket.writableLength} bytes were left`);
    begin();
    assert.equal((await client.message()).body, 'ok');
    assert.equal(received, MEGABYTES << 20);
  }).timeout(60_000);

  it('forgets clients that abort, whenever they do', async () => {
    const proxy = await engine();
    const server = await TestServer.listen((request, response) => {
      response.write('begin');
      request.resume();
    });
    cleanUps.push(() => server.close());
    await proxy.engine.update(snapshotOf(upstreamAt(server.port, 'api#1')));
    for (let i = 0; i < 60; i++) {
      const client = await wire(proxy.port);
      client.send(i % 2 ? get() : head(...POST, 'Content-Length: 10'));
      if (i % 3 === 0) await client.until('begin');
      if (i % 5 === 0) client.close();
      else client.reset();
    }
    await waitFor('nothing to be in flight', async () => {
      const { body } = await ask({ port: proxy.port, path: '/__helix/metrics' });
      return /^helix_proxy_requests_in_flight 0$/m.test(body) && /in_flight\{upstream="api#1"\} 0$/m.test(body);
    });
    await waitFor('its upstream to be left by all', () => connectionsOf(server).then(count => count === 0));
  }).timeout(60_000);
}

/** Until a count that has begun to grow does not grow any more. */
async function standsStill(count: () => number): Promise<void> {
  let last = 0;
  const stands = (): boolean => {
    const before = last;
    last = count();
    return before > 0 && before === last;
  };
  await waitFor('the flow to stand still', stands, { interval: 500 });
}

const connectionsOf = (server: TestServer): Promise<number> =>
  new Promise((resolve, reject) => {
    server.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
