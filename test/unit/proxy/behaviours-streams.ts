import { type Behaviour, get, head, OK, pass } from './behaviour.ts';
import { field, status } from './wire.ts';

const CHUNKED = ['POST /up HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked'];
const LENGTH = (count: number): string => head('POST /up HTTP/1.1', 'Host: localhost', `Content-Length: ${count}`);

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
      const second = await lab.upstream.accept();
      await second.message();
      second.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo');
      first.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
      return [(await client.message()).body, (await client.message()).body];
    },
    expect: ['one', 'two'],
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

const up: Behaviour[] = [
  {
    name: 'the head of a request passes before its body',
    run: async lab => {
      const client = await lab.client();
      client.send(LENGTH(3));
      const wire = await lab.upstream.accept();
      const seen = await wire.head();
      client.send('abc');
      await wire.until('abc');
      wire.send(OK);
      return [seen.start, (await client.message()).body];
    },
    expect: ['POST /up HTTP/1.1', 'ok'],
  },
  {
    name: 'a body of known length passes as it comes and keeps its length',
    run: async lab => {
      const client = await lab.client();
      client.send(`${LENGTH(6)}abc`);
      const wire = await lab.upstream.accept();
      const seen = await wire.head();
      const first = await wire.until('abc');
      client.send('def');
      const second = await wire.until('def');
      wire.send(OK);
      return [
        field(seen, 'content-length'),
        field(seen, 'transfer-encoding'),
        first,
        second,
        (await client.message()).body,
      ];
    },
    expect: ['6', undefined, 'abc', 'def', 'ok'],
  },
  {
    name: 'a chunked body passes chunk by chunk',
    run: async lab => {
      const client = await lab.client();
      client.send(`${head(...CHUNKED)}3\r\nabc\r\n`);
      const wire = await lab.upstream.accept();
      const seen = await wire.head();
      await wire.until('abc');
      client.send('3\r\ndef\r\n');
      await wire.until('def');
      client.send('0\r\n\r\n');
      await wire.until('0\r\n\r\n');
      wire.send(OK);
      return [field(seen, 'transfer-encoding'), field(seen, 'content-length'), (await client.message()).body];
    },
    expect: ['chunked', undefined, 'ok'],
  },
  {
    name: 'trailers of a request pass',
    run: async lab => {
      const { request } = await pass(lab, `${head(...CHUNKED, 'Trailer: X-Sum')}2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n`);
      return [request.body, request.trailers, field(request, 'trailer')];
    },
    expect: ['ab', 'X-Sum: 7\r\n', 'X-Sum'],
  },
  {
    name: 'a POST without a body is one of length 0',
    run: async lab => {
      const { request } = await pass(lab, head('POST / HTTP/1.1', 'Host: localhost', 'Content-Length: 0'));
      return [field(request, 'content-length'), field(request, 'transfer-encoding')];
    },
    expect: ['0', undefined],
  },
  {
    name: 'DELETE and GET may have bodies',
    run: async lab => {
      const one = await pass(lab, `${head('DELETE /a HTTP/1.1', 'Host: localhost', 'Content-Length: 3')}abc`);
      const two = await pass(lab, `${head('GET /b HTTP/1.1', 'Host: localhost', 'Content-Length: 3')}def`);
      return [one.request.body, two.request.body];
    },
    expect: ['abc', 'def'],
  },
  {
    name: 'body bytes are not touched',
    run: async lab => {
      const bytes = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('');
      const { request, reply } = await pass(
        lab,
        LENGTH(256) + bytes,
        `HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n${bytes}`,
      );
      return [request.body === bytes, reply.body === bytes];
    },
    expect: [true, true],
  },
  {
    name: '100-continue comes from the upstream, and the body only then',
    run: async lab => {
      const client = await lab.client();
      client.send(head('POST / HTTP/1.1', 'Host: localhost', 'Content-Length: 3', 'Expect: 100-continue'));
      const wire = await lab.upstream.accept();
      const seen = await wire.head();
      const before = client.rest;
      wire.send('HTTP/1.1 100 Continue\r\n\r\n');
      const interim = await client.head();
      client.send('abc');
      await wire.until('abc');
      wire.send(OK);
      return [field(seen, 'expect'), before, status(interim), (await client.message()).body];
    },
    expect: ['100-continue', '', 100, 'ok'],
  },
  {
    name: 'an upstream’s refusal instead of 100-continue is passed on, and the connection ends',
    run: async lab => {
      const client = await lab.client();
      client.send(head('POST / HTTP/1.1', 'Host: localhost', 'Content-Length: 3', 'Expect: 100-continue'));
      const wire = await lab.upstream.accept();
      await wire.head();
      wire.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n');
      const reply = await client.message();
      return [status(reply), field(reply, 'connection'), await client.closed()];
    },
    expect: [413, 'close', 'end'],
  },
  {
    name: 'an expectation that nobody knows is answered with 417',
    run: async lab => {
      const client = await lab.client();
      client.send(`${head('POST / HTTP/1.1', 'Host: localhost', 'Content-Length: 3', 'Expect: wonders')}abc`);
      return status(await client.message());
    },
    expect: 417,
  },
  {
    name: 'an answer before the end of the body reaches the client',
    run: async lab => {
      const client = await lab.client();
      client.send(`${LENGTH(1_000)}abc`);
      const wire = await lab.upstream.accept();
      await wire.until('abc');
      wire.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig');
      const reply = await client.message();
      return [status(reply), reply.body];
    },
    expect: [413, 'big'],
  },
  {
    name: 'a client that leaves in mid-body ends the upstream’s request, which is not made to look whole',
    run: async lab => {
      const client = await lab.client();
      client.send(`${head(...CHUNKED)}3\r\nabc\r\n`);
      const wire = await lab.upstream.accept();
      await wire.until('abc\r\n');
      client.reset();
      await wire.closed();
      return wire.rest;
    },
    expect: '',
  },
];

const faulty = (name: string, answer: string): Behaviour => ({
  name,
  run: async lab => {
    const client = await lab.client();
    client.send(head('POST / HTTP/1.1', 'Host: localhost', 'Content-Length: 0'));
    const { wire } = await lab.upstream.answer(answer);
    wire.end();
    return status(await client.message());
  },
  expect: 502,
});

/** After a POST, which is not sent again; what happens to the others is tested with the faults. */
const garbage: Behaviour[] = [
  faulty('an upstream that answers no HTTP is a 502', 'SSH-2.0-OpenSSH_9.2\r\n'),
  faulty('an upstream that ends in mid-head is a 502', 'HTTP/1.1 200 OK\r\nContent-Le'),
  faulty('an upstream that ends without a word is a 502', ''),
  faulty('an answer with two lengths is a 502', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'),
  faulty(
    'an answer with a length and a coding is a 502',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ),
  faulty(
    'an answer whose head never ends is a 502',
    `HTTP/1.1 200 OK\r\n${'X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(4_000)}`,
  ),
  faulty(
    'a 101 that nobody asked for is a 502',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
  ),
];

export const streamBehaviours: readonly Behaviour[] = [...connections, ...down, ...up, ...garbage];
