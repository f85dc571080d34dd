import { type Behaviour, get, head, type Lab, OK } from './behaviour.ts';
import { field, type Message, status, type Wire } from './wire.ts';

const WEBSOCKET = [
  'GET /socket HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
const ACCEPTED = head(
  'HTTP/1.1 101 Switching Protocols',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
);

async function opened(lab: Lab): Promise<{ client: Wire; wire: Wire; request: Message; reply: Message }> {
  const client = await lab.client();
  client.send(head(...WEBSOCKET));
  const { wire, request } = await lab.upstream.answer(ACCEPTED);
  return { client, wire, request, reply: await client.head() };
}

export const upgradeBehaviours: readonly Behaviour[] = [
  {
    name: 'a WebSocket is asked for with its own fields and accepted with the upstream’s',
    run: async lab => {
      const { request, reply } = await opened(lab);
      return [
        field(request, 'upgrade'),
        field(request, 'connection')?.toLowerCase(),
        field(request, 'sec-websocket-key'),
        field(request, 'x-forwarded-for'),
        status(reply),
        field(reply, 'sec-websocket-accept'),
      ];
    },
    expect: ['websocket', 'upgrade', 'dGhlIHNhbXBsZSBub25jZQ==', '127.0.0.1', 101, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='],
  },
  {
    name: 'bytes beyond ASCII in the upstream’s 101 pass as they are',
    run: async lab => {
      const client = await lab.client();
      client.send(head(...WEBSOCKET));
      await lab.upstream.answer(ACCEPTED.replace('Upgrade: websocket', 'Upgrade: websocket\r\nX-Name: \xc3\xa9 \xe9'));
      return field(await client.head(), 'x-name');
    },
    expect: '\xc3\xa9 \xe9',
  },
  {
    name: '101 comes only after the upstream’s',
    run: async lab => {
      const client = await lab.client();
      client.send(head(...WEBSOCKET));
      const wire = await lab.upstream.accept();
      await wire.head();
      // The proxy answers another client meanwhile, so it had every opportunity.
      const other = await lab.client();
      other.send(head('GET /health HTTP/1.1', 'Host: localhost'));
      await other.message();
      const before = client.rest;
      wire.send(ACCEPTED);
      return [before, status(await client.head())];
    },
    expect: ['', 101],
  },
  {
    name: 'bytes go both ways, also those sent along with the handshake',
    run: async lab => {
      const client = await lab.client();
      client.send(`${head(...WEBSOCKET)}early`);
      const wire = await lab.upstream.accept();
      await wire.head();
      wire.send(`${ACCEPTED}hello`);
      await client.head();
      const down = await client.until('hello');
      const up = await wire.until('early');
      client.send('\x81\x00ping');
      const more = await wire.until('ping');
      wire.send('\xff\x00pong');
      return [down, up, more, await client.until('pong')];
    },
    expect: ['hello', 'early', '\x81\x00ping', '\xff\x00pong'],
  },
  {
    name: 'a refused upgrade is passed on as the answer that it is',
    run: async lab => {
      const client = await lab.client();
      client.send(head(...WEBSOCKET));
      await lab.upstream.answer('HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 4\r\n\r\nnope');
      const reply = await client.message();
      return [status(reply), field(reply, 'x-why'), reply.body];
    },
    expect: [403, 'no', 'nope'],
  },
  {
    name: 'the upstream’s end reaches the client',
    run: async lab => {
      const { client, wire } = await opened(lab);
      wire.send('bye').end();
      await client.until('bye');
      return client.closed();
    },
    expect: 'end',
  },
  {
    name: 'the client’s end reaches the upstream',
    run: async lab => {
      const { client, wire } = await opened(lab);
      client.send('bye').end();
      await wire.until('bye');
      return wire.closed();
    },
    expect: 'end',
  },
  {
    name: 'a reset by either side ends the other, and the proxy survives both',
    run: async lab => {
      const one = await opened(lab);
      one.wire.reset();
      await one.client.closed();
      const two = await opened(lab);
      two.client.reset();
      await two.wire.closed();
      const other = await lab.client();
      other.send(head('GET / HTTP/1.1', 'Host: localhost'));
      await lab.upstream.answer(OK);
      return (await other.message()).body;
    },
    expect: 'ok',
  },
  {
    name: 'a client that resets while the upstream refuses does no harm',
    run: async lab => {
      const client = await lab.client();
      client.send(head(...WEBSOCKET));
      const wire = await lab.upstream.accept();
      await wire.head();
      client.reset();
      wire.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope');
      const other = await lab.client();
      other.send(head('GET / HTTP/1.1', 'Host: localhost'));
      await lab.upstream.answer(OK);
      return (await other.message()).body;
    },
    expect: 'ok',
  },
  {
    name: 'an upgrade that the proxy does not speak is ignored, and the request is carried out',
    run: async lab => {
      const client = await lab.client();
      const fields = [
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA',
      ];
      client.send(`${head('POST /a HTTP/1.1', 'Host: localhost', ...fields, 'Content-Length: 3')}abc`);
      const { request } = await lab.upstream.answer(OK);
      const first = await client.message();
      client.send(head('GET /b HTTP/1.1', 'Host: localhost'));
      const { request: second } = await lab.upstream.answer(OK);
      return [
        request.start,
        request.body,
        field(request, 'upgrade'),
        field(request, 'http2-settings'),
        first.body,
        second.start,
      ];
    },
    expect: ['POST /a HTTP/1.1', 'abc', undefined, undefined, 'ok', 'GET /b HTTP/1.1'],
  },
  {
    name: 'a page of a foreign site cannot open a WebSocket',
    run: async lab => {
      const client = await lab.client();
      client.send(head(...WEBSOCKET, 'Origin: http://evil.test'));
      return [status(await client.message()), lab.upstream.connections];
    },
    expect: [403, 0],
  },
  {
    name: 'a page without an origin, as any site can make one in a frame, cannot open a WebSocket',
    run: async lab => {
      const client = await lab.client();
      client.send(head(...WEBSOCKET, 'Origin: null'));
      return [status(await client.message()), lab.upstream.connections];
    },
    expect: [403, 0],
  },
  {
    name: 'a WebSocket that is asked for behind another request opens after its answer',
    run: async lab => {
      const client = await lab.client();
      client.send(`${get('/first')}${head(...WEBSOCKET)}early`);
      const first = await lab.upstream.answer(OK);
      const reply = await client.message();
      const { wire } = await lab.upstream.answer(ACCEPTED);
      const second = await client.head();
      await wire.until('early');
      wire.send('hello');
      return [first.request.start, reply.body, status(second), await client.until('hello')];
    },
    expect: ['GET /first HTTP/1.1', 'ok', 101, 'hello'],
  },
  {
    name: 'an upgrade that the proxy does not speak is ignored behind another request, too',
    run: async lab => {
      const client = await lab.client();
      client.send(`${get('/first')}${get('/second', 'Connection: Upgrade', 'Upgrade: h2c')}${get('/third')}`);
      const seen: string[] = [];
      for (let left = 3; left > 0; left--) {
        const { request } = await lab.upstream.answer(OK);
        seen.push(request.start, (await client.message()).body);
      }
      return seen;
    },
    expect: ['GET /first HTTP/1.1', 'ok', 'GET /second HTTP/1.1', 'ok', 'GET /third HTTP/1.1', 'ok'],
  },
  {
    name: 'CONNECT is refused behind another request after its answer',
    run: async lab => {
      const client = await lab.client();
      client.send(`${get('/first')}${head('CONNECT localhost:443 HTTP/1.1', 'Host: localhost:443')}`);
      await lab.upstream.answer(OK);
      return [(await client.message()).body, status(await client.message()), await client.closed()];
    },
    expect: ['ok', 405, 'end'],
    differs: {
      nginx: {
        expect: ['ok', 400, 'end'],
        reason: 'nginx has no target without a path, and refuses the line before it looks at the method',
      },
    },
  },
  {
    name: 'a page of the workspace can open a WebSocket',
    run: async lab => {
      const client = await lab.client();
      client.send(head(...WEBSOCKET, 'Origin: http://localhost:5173'));
      await lab.upstream.answer(ACCEPTED);
      return status(await client.head());
    },
    expect: 101,
  },
];
