import { type Behaviour, type Difference, get, gotThrough, head, noTrailers, OK, pass } from './behaviour.ts';
import { field, status } from './wire.ts';

const connections: Behaviour[] = [
  {
    name: 'connections are kept on both sides',
    run: async lab => {
      const { client, wire } = await pass(lab, get('/one'));
      client.send(get('/two'));
      const second = await wire.message();
      wire.send(OK);
      return [second.start, (await client.message()).body, lab.upstream.connections];
    },
    expect: ['GET /two HTTP/1.1', 'ok', 1],
  },
  {
    name: 'a client that asks for the connection’s end gets it, and the upstream’s lives on',
    run: async lab => {
      const { client, wire } = await pass(lab, get('/one', 'Connection: close'));
      const ended = await client.closed();
      const other = await lab.client();
      other.send(get('/two'));
      await wire.message();
      wire.send(OK);
      return [ended, (await other.message()).body, lab.upstream.connections];
    },
    expect: ['end', 'ok', 1],
  },
  {
    name: 'pipelined requests are answered in their order',
    run: async lab => {
      const client = await lab.client();
      client.send(get('/one') + get('/two'));
      const first = await lab.upstream.accept();
      await first.message();
      const atOnce = await gotThrough(lab, 'GET /two ');
      const one = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none';
      if (!atOnce) first.send(one);
      await lab.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo');
      if (atOnce) first.send(one);
      return [atOnce, (await client.message()).body, (await client.message()).body];
    },
    expect: [true, 'one', 'two'],
    differs: {
      nginx: {
        expect: [false, 'one', 'two'],
        reason: 'nginx reads a client’s next request only when the one before is answered',
      },
    },
  },
  {
    name: 'an upstream that ends the connection with its answer is connected to anew',
    run: async lab => {
      const first = await pass(lab, get('/one'), 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
      first.wire.end();
      first.client.send(get('/two'));
      await lab.upstream.answer(OK);
      return [(await first.client.message()).body, lab.upstream.connections];
    },
    expect: ['ok', 2],
  },
];

const down: Behaviour[] = [
  {
    name: 'an event stream passes event by event, its head before the first',
    run: async lab => {
      const client = await lab.client();
      client.send(get('/events', 'Accept: text/event-stream'));
      const { wire } = await lab.upstream.answer(
        head('HTTP/1.1 200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked'),
      );
      const reply = await client.head();
      wire.send('9\r\ndata: 1\n\n\r\n');
      const first = await client.until('data: 1\n\n');
      wire.send('9\r\ndata: 2\n\n\r\n');
      const second = await client.until('data: 2\n\n');
      wire.send('0\r\n\r\n');
      await client.until('0\r\n\r\n');
      return [status(reply), first.includes('data: 1'), second.includes('data: 2')];
    },
    expect: [200, true, true],
  },
  {
    name: 'bytes of an answer of known length pass as they come',
    run: async lab => {
      const client = await lab.client();
      client.send(get());
      const { wire } = await lab.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc');
      await client.head();
      const first = await client.until('abc');
      wire.send('def');
      return [first, await client.until('def')];
    },
    expect: ['abc', 'def'],
  },
  {
    name: 'trailers of an answer pass, except those that frame or route',
    run: async lab => {
      const { reply } = await pass(
        lab,
        get('/', 'TE: trailers', 'Connection: TE'),
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nSet-Cookie: a=b\r\n\r\n',
      );
      return [reply.body, reply.trailers, field(reply, 'trailer')];
    },
    expect: ['ok', 'X-Sum: 7\r\n', 'X-Sum'],
    differs: noTrailers(['ok', '', undefined]),
  },
  {
    name: 'trailers of an answer pass also to a client that did not ask',
    run: async lab => {
      const { reply } = await pass(
        lab,
        get(),
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n',
      );
      return [reply.body, reply.trailers];
    },
    expect: ['ok', 'X-Sum: 7\r\n'],
    differs: noTrailers(['ok', '']),
  },
  {
    name: 'early hints pass before the answer',
    run: async lab => {
      const client = await lab.client();
      client.send(get());
      await lab.upstream.answer(`${head('HTTP/1.1 103 Early Hints', 'Link: </a.css>; rel=preload')}${OK}`);
      const hints = await client.head();
      return [status(hints), field(hints, 'link'), (await client.message()).body];
    },
    expect: [103, '</a.css>; rel=preload', 'ok'],
  },
  {
    name: 'the connection of an answer with early hints goes on with the next request',
    run: async lab => {
      const client = await lab.client();
      client.send(get('/one'));
      await lab.upstream.answer(`${head('HTTP/1.1 103 Early Hints', 'Link: </a.css>; rel=preload')}${OK}`);
      await client.head();
      await client.message();
      client.send(get('/two'));
      return gotThrough(lab, 'GET /two ');
    },
    expect: true,
    differs: {
      nginx: {
        expect: false,
        reason:
          'nginx takes 103 for the answer and what follows for its body, which ends with the upstream’s connection',
      },
    },
  },
  {
    name: 'an upstream that dies in a body of known length cuts the client off',
    run: async lab => {
      const client = await lab.client();
      client.send(get());
      const { wire } = await lab.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      await client.until('half');
      wire.reset();
      await client.closed();
      return client.rest;
    },
    expect: '',
  },
  {
    name: 'an upstream that dies in a chunked body cuts the client off before the last chunk',
    run: async lab => {
      const client = await lab.client();
      client.send(get());
      const { wire } = await lab.upstream.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
      await client.until('half\r\n');
      wire.end();
      await client.closed();
      return client.rest;
    },
    expect: '',
  },
  {
    name: 'an upstream that dies in the answer to an HTTP/1.0 client makes no clean end',
    run: async lab => {
      const client = await lab.client();
      client.send(head('GET / HTTP/1.0', 'Host: localhost'));
      const { wire } = await lab.upstream.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
      await client.until('half');
      wire.reset();
      return client.closed();
    },
    expect: 'reset',
    differs: {
      nginx: { expect: 'end', reason: 'nginx cannot reset a client’s connection because of what an upstream did' },
    },
  },
  {
    name: 'a client that leaves in mid-answer takes the upstream’s request with it',
    run: async lab => {
      const client = await lab.client();
      client.send(get());
      const { wire } = await lab.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      await client.until('half');
      client.reset();
      return ['end', 'reset'].includes(await wire.closed());
    },
    expect: true,
  },
  {
    name: 'a client that leaves before the answer takes the upstream’s request with it',
    run: async lab => {
      const client = await lab.client();
      client.send(get());
      const wire = await lab.upstream.accept();
      await wire.message();
      client.close();
      return ['end', 'reset'].includes(await wire.closed());
    },
    expect: true,
  },
];

const faulty = (name: string, answer: string, nginx?: Difference): Behaviour => ({
  name,
  run: async lab => {
    const client = await lab.client();
    client.send(head('POST / HTTP/1.1', 'Host: localhost', 'Content-Length: 0'));
    const { wire } = await lab.upstream.answer(answer);
    wire.end();
    const line = (await client.until('\r\n')).trim();
    return /^HTTP\/1.1 (?<status>\d+)/.exec(line)?.groups?.['status'] ?? line;
  },
  expect: '502',
  ...(nginx && { differs: { nginx } }),
});

/** After a POST, which is not sent again; what happens to the others is tested with the faults. */
const garbage: Behaviour[] = [
  faulty('an upstream that answers no HTTP is a 502', 'SSH-2.0-OpenSSH_9.2\r\n', {
    expect: 'SSH-2.0-OpenSSH_9.2',
    reason: 'nginx takes it for HTTP/0.9, which is a body without a head',
  }),
  faulty('an upstream that ends in mid-head is a 502', 'HTTP/1.1 200 OK\r\nContent-Le'),
  faulty('an upstream that ends without a word is a 502', ''),
  faulty(
    'an answer with two lengths is a 502',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc',
    {
      expect: '200',
      reason: 'nginx before 1.23 takes the last one; the client gets one only',
      until: [1, 23, 0],
    },
  ),
  faulty(
    'an answer with a length and a coding is a 502',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    {
      expect: '200',
      reason: 'nginx before 1.23 goes by the coding, as RFC 9112, 6.3 says; the client gets that only',
      until: [1, 23, 0],
    },
  ),
  faulty(
    'an answer whose head never ends is a 502',
    `HTTP/1.1 200 OK\r\n${'X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(4_000)}`,
  ),
  faulty(
    'a 101 that nobody asked for is a 502',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    {
      expect: '101',
      reason: 'nginx passes on each status that has a head, this one too; nothing follows it but the end',
    },
  ),
];

export const streamBehaviours: readonly Behaviour[] = [...connections, ...down, ...garbage];
