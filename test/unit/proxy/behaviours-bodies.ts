import { type Behaviour, head, noTrailers, OK, pass } from './behaviour.ts';
import { field, status } from './wire.ts';

const CHUNKED = ['POST /up HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked'];
const LENGTH = (count: number): string => head('POST /up HTTP/1.1', 'Host: localhost', `Content-Length: ${count}`);

/** Of requests. */
export const bodyBehaviours: readonly Behaviour[] = [
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
    differs: noTrailers(['ab', '', undefined]),
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
    name: 'a POST without body and length is over at once, and both connections live on',
    run: async lab => {
      const post = (path: string): string => head(`POST ${path} HTTP/1.1`, 'Host: localhost');
      const { client, wire } = await pass(lab, post('/'));
      client.send(post('/next'));
      const next = await wire.message();
      wire.send(OK);
      return [next.start, (await client.message()).body, lab.upstream.connections];
    },
    expect: ['POST /next HTTP/1.1', 'ok', 1],
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
      if (field(seen, 'expect')) wire.send('HTTP/1.1 100 Continue\r\n\r\n');
      const interim = await client.head();
      client.send('abc');
      await wire.until('abc');
      wire.send(OK);
      return [field(seen, 'expect'), before, status(interim), (await client.message()).body];
    },
    expect: ['100-continue', '', 100, 'ok'],
    differs: {
      nginx: {
        expect: [undefined, 'HTTP/1.1 100 Continue\r\n\r\n', 100, 'ok'],
        reason: 'nginx answers 100 itself before it asks the upstream, and cannot be told otherwise',
      },
    },
  },
  {
    name: 'an upstream’s refusal instead of 100-continue is passed on, and the connection ends',
    run: async lab => {
      const client = await lab.client();
      client.send(head('POST / HTTP/1.1', 'Host: localhost', 'Content-Length: 3', 'Expect: 100-continue'));
      const wire = await lab.upstream.accept();
      await wire.head();
      wire.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n');
      const first = await client.message();
      const isInterim = status(first) === 100;
      const reply = isInterim ? await client.message() : first;
      return [isInterim, status(reply), field(reply, 'connection'), await client.closed()];
    },
    expect: [false, 413, 'close', 'end'],
    differs: {
      nginx: {
        expect: [true, 413, 'keep-alive', 'end'],
        reason: 'nginx answers 100 itself before it asks the upstream; it ends the connection without having said so',
      },
    },
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
