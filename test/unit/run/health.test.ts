import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Readiness } from '../../../src/model/service.ts';
import { check, type CheckResult, contains, type NetworkReadiness } from '../../../src/run/health.ts';
import { Cleanup, close, freeBand } from './harness.ts';

const HTTP: Extract<Readiness, { kind: 'http' }> = { kind: 'http', path: '/health', status: 200 };
const hasIPv6 = Object.values(networkInterfaces()).some(all => all?.some(one => one.address === '::1'));

describe('health', () => {
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  async function listening(server: Server, host = '127.0.0.1'): Promise<number> {
    const { from: port } = await freeBand(1);
    const sockets = new Set<Socket>();
    server.on('connection', socket => sockets.add(socket));
    server.listen(port, host);
    await once(server, 'listening');
    cleanup.add(() => {
      for (const socket of sockets) socket.destroy();
      return close(server);
    });
    return port;
  }

  const answering = (listener: RequestListener): Promise<number> => listening(createHttpServer(listener));

  const look = (
    readiness: NetworkReadiness,
    port: number,
    host = '127.0.0.1',
    timeoutMs = 10_000,
  ): Promise<CheckResult> => check(readiness, { host, port, timeoutMs });

  /** What went wrong, and how that is said. */
  async function failure(readiness: NetworkReadiness, port: number, timeoutMs?: number): Promise<[string, string]> {
    const result = await look(readiness, port, '127.0.0.1', timeoutMs);
    assert.ok(!result.ok, 'it fails');
    return [result.failure, result.reason];
  }

  describe('over HTTP', () => {
    it('is well with the expected status and JSON', async () => {
      const port = await answering((request, response) => {
        assert.equal(request.url, '/health');
        response.end('{"status":"healthy","parts":[{"name":"db"}],"more":1}');
      });
      const expect = { status: 'healthy', parts: [{ name: 'db' }] };
      assert.equal((await look({ ...HTTP, expect }, port)).ok, true);
      assert.equal((await look(HTTP, port)).ok, true);
    });

    const wrongs: [what: string, status: number, body: string, reason: string][] = [
      ['another status', 503, '{"status":"healthy"}', '/health answers 503, not 200'],
      ['a redirection', 302, '', '/health answers 302, not 200'],
      ['no JSON', 200, '<html>', '/health does not answer JSON'],
      ['other JSON', 200, '{"status":"starting"}', '/health answers something unexpected'],
      ['JSON that is no object', 200, 'null', '/health answers something unexpected'],
    ];
    for (const [what, status, body, reason] of wrongs) {
      it(`is wrong with ${what}`, async () => {
        const port = await answering((_request, response) => response.writeHead(status).end(body));
        assert.deepEqual(await failure({ ...HTTP, expect: { status: 'healthy' } }, port), ['wrong', reason]);
      });
    }

    it('is refused where nobody listens', async () => {
      const { from: port } = await freeBand(1);
      assert.deepEqual(await failure(HTTP, port), ['refused', 'nobody listens']);
    });

    it('is silent where no answer comes, or only its beginning', async () => {
      const never = await answering(() => undefined);
      assert.deepEqual(await failure(HTTP, never, 100), ['silent', 'no answer within 100 ms']);
      const half = await answering((_request, response) => response.writeHead(200).write('{'));
      assert.deepEqual(await failure(HTTP, half, 100), ['silent', 'no answer within 100 ms']);
    });

    it('is silent where the connection is cut', async () => {
      const cut = await answering(request => request.socket.destroy());
      const [kind] = await failure(HTTP, cut);
      assert.equal(kind, 'silent');
      const amid = await answering((request, response) => {
        response.writeHead(200, { 'content-length': '100' }).write('{');
        setImmediate(() => request.socket.destroy());
      });
      assert.equal((await failure(HTTP, amid))[0], 'silent');
    });

    it('is silent with an answer that is not HTTP', async () => {
      const port = await listening(createServer(socket => socket.end('SSH-2.0-OpenSSH\r\n')));
      assert.equal((await failure(HTTP, port))[0], 'silent');
    });

    it('does not keep what never ends', async () => {
      const port = await answering((_request, response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(1 << 20, 0x20)));
          response.once('drain', more);
        };
        more();
      });
      assert.deepEqual(await failure({ ...HTTP, expect: {} }, port, 300), ['silent', 'no answer within 300 ms']);
    });
  });

  describe('over TCP', () => {
    it('is well as soon as somebody accepts', async () => {
      assert.equal((await look({ kind: 'tcp' }, await listening(createServer()))).ok, true);
      const { from: free } = await freeBand(1);
      assert.deepEqual(await failure({ kind: 'tcp' }, free), ['refused', 'nobody listens']);
    });

    for (const [bound, listens] of [
      ['0.0.0.0', '127.0.0.1'],
      ['::', '::1'],
    ] as const) {
      it(`calls ${listens} for a service on ${bound}`, async function () {
        if (bound === '::' && !hasIPv6) return this.skip();
        const port = await listening(createServer(), listens);
        assert.equal((await look({ kind: 'tcp' }, port, bound)).ok, true);
      });
    }
  });

  describe('of PostgreSQL', () => {
    for (const answer of ['S', 'N']) {
      it(`is well when it answers ${answer} to the request for TLS`, async () => {
        const asked: Buffer[] = [];
        const server = createServer(socket => socket.on('data', data => (asked.push(data), socket.write(answer))));
        assert.equal((await look({ kind: 'postgres' }, await listening(server))).ok, true);
        assert.equal(Buffer.concat(asked).toString('hex'), '0000000804d2162f');
      });
    }

    it('is wrong when something else answers, and silent when it says nothing or hangs up', async () => {
      const http = await listening(createServer(socket => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')));
      assert.deepEqual(await failure({ kind: 'postgres' }, http), ['wrong', 'is not PostgreSQL']);
      const mute = await listening(createServer());
      assert.deepEqual(await failure({ kind: 'postgres' }, mute, 100), ['silent', 'no answer within 100 ms']);
      const rude = await listening(createServer(socket => socket.on('data', () => socket.end())));
      assert.deepEqual(await failure({ kind: 'postgres' }, rude), ['silent', 'closed the connection']);
    });
  });

  const containments: [value: unknown, expected: unknown, yes: boolean][] = [
    [{ a: 1, b: 2 }, { a: 1 }, true],
    [{ a: 1 }, { a: 2 }, false],
    [{ a: 1 }, { b: undefined }, true],
    [{ a: { b: [1, 2] } }, { a: { b: [1] } }, true],
    [{ a: { b: [1, 2] } }, { a: { b: [2] } }, false],
    [[1], { 0: 1 }, true],
    [null, {}, false],
    ['x', 'x', true],
    ['x', {}, false],
    [null, null, true],
    [{ a: null }, { a: null }, true],
    [{}, { a: null }, false],
  ];
  for (const [value, expected, yes] of containments) {
    it(`${JSON.stringify(value)} ${yes ? 'has' : 'does not have'} ${JSON.stringify(expected)}`, () =>
      assert.equal(contains(value, expected), yes));
  }
});
