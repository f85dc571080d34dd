import { type Behaviour, get, head, OK, pass } from './behaviour.ts';
import { field, status } from './wire.ts';

const HOP = [
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'Proxy-Authorization: Basic eA==',
  'TE: gzip',
  'X-Named: 1',
  'Proxy: http://evil.test',
];

/** As its bytes stand on the wire, one character each. */
const UTF8 = Buffer.from('找不到').toString('latin1');
const NAME = `${UTF8} \xe9`;

/** The value of one field as the upstream gets it. */
const forwarded = (name: string, field_: string, expect: string | undefined, ...sent: string[]): Behaviour => ({
  name,
  run: async lab => {
    const { request } = await pass(lab, get('/', ...sent));
    return field(request, field_)?.replaceAll(String(lab.port), 'PORT');
  },
  expect,
});

const request: Behaviour[] = [
  {
    name: 'Host passes as the client sent it',
    run: async lab => field((await pass(lab, head('GET / HTTP/1.1', 'Host: api.localhost:1234'))).request, 'host'),
    expect: 'api.localhost:1234',
  },
  forwarded('X-Forwarded-For names the client', 'x-forwarded-for', '127.0.0.1'),
  forwarded(
    'X-Forwarded-For is appended to',
    'x-forwarded-for',
    '10.1.1.1, 10.2.2.2, 127.0.0.1',
    'X-Forwarded-For: 10.1.1.1, 10.2.2.2',
  ),
  forwarded(
    'several X-Forwarded-For are one list',
    'x-forwarded-for',
    '10.1.1.1, 10.2.2.2, 127.0.0.1',
    'X-Forwarded-For: 10.1.1.1',
    'X-Forwarded-For: 10.2.2.2',
  ),
  {
    name: 'a request for a stream of events tells of this hop once',
    run: async lab => {
      const { request } = await pass(lab, get('/', 'Accept: text/event-stream', 'X-Forwarded-For: 10.1.1.1'));
      return ['x-forwarded-for', 'x-forwarded-proto', 'forwarded', 'via', 'host'].map(name => field(request, name));
    },
    expect: [
      '10.1.1.1, 127.0.0.1',
      'http',
      'for=127.0.0.1;host="localhost";proto=http',
      '1.1 helix-ports',
      'localhost',
    ],
  },
  forwarded('X-Forwarded-Proto is http', 'x-forwarded-proto', 'http'),
  forwarded(
    'X-Forwarded-Proto of a tunnel on this machine is kept',
    'x-forwarded-proto',
    'https',
    'X-Forwarded-Proto: https',
  ),
  forwarded(
    'X-Forwarded-Proto that is no scheme is replaced',
    'x-forwarded-proto',
    'http',
    'X-Forwarded-Proto: javascript',
  ),
  forwarded('X-Forwarded-Host is the Host', 'x-forwarded-host', 'localhost'),
  forwarded(
    'X-Forwarded-Host of a tunnel on this machine is kept',
    'x-forwarded-host',
    'abc.devtunnels.test',
    'X-Forwarded-Host: abc.devtunnels.test',
  ),
  forwarded(
    'X-Forwarded-Port goes by the scheme where Host has none',
    'x-forwarded-port',
    '443',
    'X-Forwarded-Proto: https',
  ),
  forwarded('Forwarded says the same', 'forwarded', 'for=127.0.0.1;host="localhost";proto=http'),
  forwarded(
    'Forwarded is appended to',
    'forwarded',
    'for=10.1.1.1, for=127.0.0.1;host="localhost";proto=http',
    'Forwarded: for=10.1.1.1',
  ),
  forwarded(
    'fields named in Connection go no further',
    'x-named',
    undefined,
    'Connection: close, X-Named',
    'X-Named: 1',
  ),
  {
    ...forwarded(
      'a client cannot have X-Forwarded-For removed through Connection',
      'x-forwarded-for',
      '127.0.0.1',
      'Connection: X-Forwarded-For',
      'X-Forwarded-For: 10.1.1.1',
    ),
    differs: {
      nginx: {
        expect: '10.1.1.1, 127.0.0.1',
        reason:
          'where Connection names one of these nothing is removed, so that a client cannot hide behind the fallback',
      },
    },
  },
  forwarded('a client cannot have Host removed through Connection', 'host', 'localhost', 'Connection: Host'),
  forwarded(
    'bytes above ASCII in a field pass as they are',
    'x-name',
    'Gr\xfc\xdfe \xc3\xa9',
    'X-Name: Gr\xfc\xdfe \xc3\xa9',
  ),
  forwarded('an empty field stays', 'x-empty', '', 'X-Empty:'),
  {
    name: 'every hop-by-hop field of a request is removed',
    run: async lab => {
      const { request: seen } = await pass(lab, get('/', ...HOP, 'Connection: X-Named'));
      const names = HOP.map(one => one.split(':')[0]!);
      return names.filter(name => field(seen, name) !== undefined);
    },
    expect: [],
  },
  {
    name: 'cookies, repeated fields and their case pass in order',
    run: async lab => {
      const { request: seen } = await pass(lab, get('/', 'X-mIxEd: 1', 'Accept: a', 'Cookie: a=b; c=d', 'Accept: b'));
      return seen.fields.filter(([name]) => ['X-mIxEd', 'Accept', 'Cookie'].includes(name)).map(one => one.join('='));
    },
    expect: ['X-mIxEd=1', 'Accept=a', 'Cookie=a=b; c=d', 'Accept=b'],
  },
  {
    name: 'HTTP/1.0 without Host gets an answer, and the upstream a Host',
    run: async lab => {
      const { request: seen, reply, client } = await pass(lab, head('GET /old HTTP/1.0'));
      return [seen.start, field(seen, 'host') !== undefined, status(reply), reply.body, await client.closed()];
    },
    expect: ['GET /old HTTP/1.1', true, 200, 'ok', 'end'],
  },
];
const answerOf = (...lines: string[]): string => `${head('HTTP/1.1 200 OK', 'Content-Length: 2', ...lines)}ok`;

const response: Behaviour[] = [
  {
    name: 'every hop-by-hop field of an answer is removed',
    run: async lab => {
      const { reply } = await pass(
        lab,
        get(),
        answerOf(
          'Connection: keep-alive, X-Named',
          'Keep-Alive: timeout=77',
          'X-Named: 1',
          'Proxy-Authenticate: Basic',
          'Upgrade: h2c',
        ),
      );
      return [
        field(reply, 'x-named'),
        field(reply, 'proxy-authenticate'),
        field(reply, 'upgrade'),
        field(reply, 'keep-alive')?.includes('77') ?? false,
      ];
    },
    expect: [undefined, undefined, undefined, false],
    differs: {
      nginx: {
        expect: ['1', undefined, undefined, false],
        reason: 'nginx removes fields of an answer by names that stand in its configuration only',
      },
    },
  },
  {
    name: 'repeated Set-Cookie fields stay apart and in order',
    run: async lab =>
      (await pass(lab, get(), answerOf('Set-Cookie: a=1; Path=/', 'Set-Cookie: b=2'))).reply.fields
        .filter(([name]) => name === 'Set-Cookie')
        .map(([, value]) => value),
    expect: ['a=1; Path=/', 'b=2'],
  },
  {
    name: 'status and reason pass as they are',
    run: async lab => (await pass(lab, get(), 'HTTP/1.1 299 Quite Fine\r\nContent-Length: 0\r\n\r\n')).reply.start,
    expect: 'HTTP/1.1 299 Quite Fine',
  },
  {
    name: 'an answer without Date gets one, an answer with one keeps it',
    run: async lab => {
      const without = await pass(lab, get());
      const dated = await pass(lab, get(), answerOf('Date: Thu, 01 Jan 1970 00:00:00 GMT'));
      return [field(without.reply, 'date') !== undefined, field(dated.reply, 'date')];
    },
    expect: [true, 'Thu, 01 Jan 1970 00:00:00 GMT'],
    differs: {
      nginx: {
        expect: [false, 'Thu, 01 Jan 1970 00:00:00 GMT'],
        reason:
          'nginx can pass on the upstream’s Date or put its own in the place of each; the upstream’s is what a cache needs',
      },
    },
  },
  {
    name: 'HEAD brings the length and no body, and both connections live on',
    run: async lab => {
      const { client, wire, reply } = await pass(
        lab,
        get().replace('GET', 'HEAD'),
        'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n',
      );
      client.send(get('/next'));
      const next = await wire.message();
      wire.send(OK);
      return [field(reply, 'content-length'), next.start, (await client.message()).body, lab.upstream.connections];
    },
    expect: ['5000', 'GET /next HTTP/1.1', 'ok', 1],
  },
  ...['GET', 'POST'].map((method): Behaviour => {
    const request = head(`${method} / HTTP/1.1`, 'Host: localhost', 'Content-Length: 0', `X-Name: ${NAME}`);
    return {
      name: `${method}: bytes beyond ASCII in fields and reason pass as they are`,
      run: async lab => {
        const answer = `HTTP/1.1 404 ${UTF8}\r\nX-Name: ${NAME}\r\nContent-Length: 2\r\n\r\n`;
        const whole = await pass(lab, request, `${answer}ok`);
        // Now the head goes out alone.
        whole.client.send(request);
        const { wire } = await lab.upstream.answer(answer);
        const early = await whole.client.head();
        wire.send('ok');
        await whole.client.bytes(2);
        const replies = [whole.reply, early];
        return {
          names: [whole.request, ...replies].map(one => field(one, 'x-name')),
          reasons: replies.map(one => one.start),
        };
      },
      expect: {
        names: [NAME, NAME, NAME],
        reasons: [`HTTP/1.1 404 ${UTF8}`, `HTTP/1.1 404 ${UTF8}`],
      },
    };
  }),
  {
    name: 'an upload whose head goes ahead of its body has the bytes that it had',
    run: async lab => {
      const client = await lab.client();
      client.send(head('POST / HTTP/1.1', 'Host: localhost', 'Content-Length: 2', `X-Name: ${NAME}`));
      const wire = await lab.upstream.accept();
      const upload = await wire.head();
      client.send('up');
      await wire.bytes(2);
      wire.send(OK);
      return [field(upload, 'x-name'), (await client.message()).body];
    },
    expect: [NAME, 'ok'],
  },
  {
    name: '304 keeps its fields and has no body',
    run: async lab => {
      const { client, wire, reply } = await pass(lab, get(), head('HTTP/1.1 304 Not Modified', 'ETag: "x"'));
      client.send(get('/next'));
      await wire.message();
      wire.send(OK);
      return [status(reply), field(reply, 'etag'), (await client.message()).body];
    },
    expect: [304, '"x"', 'ok'],
  },
  {
    name: '204 has neither body nor length',
    run: async lab => {
      const { reply } = await pass(lab, get(), head('HTTP/1.1 204 No Content', 'X-A: 1'));
      return [status(reply), field(reply, 'content-length'), field(reply, 'transfer-encoding'), field(reply, 'x-a')];
    },
    expect: [204, undefined, undefined, '1'],
  },
  {
    name: 'an answer that ends with the connection reaches an HTTP/1.1 client whole',
    run: async lab => {
      const client = await lab.client();
      client.send(get());
      const { wire } = await lab.upstream.answer('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart one,');
      wire.send(' part two').end();
      const reply = await client.message();
      return [reply.body, field(reply, 'transfer-encoding')];
    },
    expect: ['part one, part two', 'chunked'],
  },
  {
    name: 'an answer of HTTP/1.0 is passed on as HTTP/1.1',
    run: async lab => {
      const client = await lab.client();
      client.send(get());
      const { wire } = await lab.upstream.answer('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold');
      wire.end();
      const reply = await client.message();
      return [reply.start, reply.body];
    },
    expect: ['HTTP/1.1 200 OK', 'old'],
  },
  {
    name: 'a chunked answer to an HTTP/1.0 client is not chunked',
    run: async lab => {
      const { reply } = await pass(
        lab,
        head('GET / HTTP/1.0', 'Host: localhost'),
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      );
      return [field(reply, 'transfer-encoding'), reply.body];
    },
    expect: [undefined, 'ok'],
  },
];

export const fieldBehaviours: readonly Behaviour[] = [...request, ...response];
