import { type Behaviour, type Difference, get, head, OK, pass, refused } from './behaviour.ts';
import { field, status } from './wire.ts';

const REFUSED = { status: 400, closed: true, passedOn: 0 };
const TAKEN = { status: 200, closed: false, passedOn: 1 };
const POST = ['POST / HTTP/1.1', 'Host: localhost'];

const refusal = (name: string, request: string, expect: unknown = REFUSED, nginx?: Difference): Behaviour => ({
  name,
  run: lab => refused(lab, request),
  expect,
  ...(nginx && { differs: { nginx } }),
});

const LENIENT: Difference = {
  expect: TAKEN,
  reason: 'nginx takes a bare LF for the end of a line, as RFC 9112, 2.2 allows; what it sends on has CR LF',
};

/** Messages whose length two parsers could see differently must not pass (RFC 9112, 6 and 11.2). */
const smuggling: Behaviour[] = [
  refusal(
    'Content-Length with Transfer-Encoding',
    `${head(...POST, 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  ),
  refusal('two Content-Lengths that differ', `${head(...POST, 'Content-Length: 4', 'Content-Length: 5')}abcde`),
  refusal('two Content-Lengths that agree', `${head(...POST, 'Content-Length: 4', 'Content-Length: 4')}abcd`),
  refusal('a list of Content-Lengths', `${head(...POST, 'Content-Length: 4, 4')}abcd`),
  refusal('a signed Content-Length', `${head(...POST, 'Content-Length: +4')}abcd`),
  refusal('a hexadecimal Content-Length', `${head(...POST, 'Content-Length: 0x4')}abcd`),
  refusal('an empty Content-Length', `${head(...POST, 'Content-Length:')}abcd`),
  refusal('a Content-Length too big for a number', `${head(...POST, `Content-Length: ${'9'.repeat(30)}`)}a`),
  refusal('white space before the colon of a field', head('GET / HTTP/1.1', 'Host : localhost')),
  refusal('white space before Transfer-Encoding’s colon', `${head(...POST, 'Transfer-Encoding : chunked')}0\r\n\r\n`),
  refusal('a field that is folded onto a second line', head('GET / HTTP/1.1', 'Host: localhost', 'X-A: one', ' two')),
  refusal('a line that begins with white space', head('GET / HTTP/1.1', ' Host: localhost')),
  refusal('bare LF as the end of a line', 'GET / HTTP/1.1\nHost: localhost\n\n', REFUSED, LENIENT),
  refusal('bare LF after a field', 'GET / HTTP/1.1\r\nHost: localhost\nX-A: 1\r\n\r\n', REFUSED, LENIENT),
  refusal('bare CR in a field', 'GET / HTTP/1.1\r\nHost: localhost\r\nX-A: 1\rX-B: 2\r\n\r\n'),
  refusal('NUL in a field', 'GET / HTTP/1.1\r\nHost: localhost\r\nX-A: 1\0\r\n\r\n'),
  refusal('a field without a name', head('GET / HTTP/1.1', 'Host: localhost', ': x')),
  refusal('a field without a colon', head('GET / HTTP/1.1', 'Host: localhost', 'nonsense'), REFUSED, {
    expect: TAKEN,
    reason: 'nginx takes it for a field with an empty value, and sends it on as one, with the colon',
  }),
  refusal('a transfer coding after chunked', `${head(...POST, 'Transfer-Encoding: chunked, gzip')}0\r\n\r\n`, REFUSED, {
    expect: { ...REFUSED, status: 501 },
    reason: 'nginx knows no coding but chunked alone, and refuses all others by the same status',
  }),
  refusal('an unknown transfer coding', `${head(...POST, 'Transfer-Encoding: xchunked')}0\r\n\r\n`, {
    ...REFUSED,
    status: 501,
  }),
  refusal('a transfer coding besides chunked', `${head(...POST, 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n`, {
    ...REFUSED,
    status: 501,
  }),
  refusal('chunked twice', `${head(...POST, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`, {
    ...REFUSED,
    status: 400,
  }),
  refusal(
    'Transfer-Encoding in HTTP/1.0',
    `${head('POST / HTTP/1.0', 'Host: localhost', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  ),
  refusal('no Host in HTTP/1.1', head('GET / HTTP/1.1')),
  refusal(
    'two Hosts',
    head('GET / HTTP/1.1', 'Host: localhost', 'Host: localhost'),
    { ...REFUSED, closed: false },
    { expect: REFUSED, reason: 'nginx ends the connection after each 400' },
  ),
  refusal('another protocol', 'HELO there\r\n\r\n'),
  refusal('HTTP/2 without negotiation', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  refusal('a version that does not exist', head('GET / HTTP/1.9', 'Host: localhost')),
  refusal('a space in the target', head('GET /a b HTTP/1.1', 'Host: localhost')),
  {
    name: 'a chunk with a size that is no number ends the request on both sides',
    run: async lab => {
      const client = await lab.client();
      client.send(`${head(...POST, 'Transfer-Encoding: chunked')}2\r\nab\r\n`);
      const wire = await lab.upstream.accept();
      await wire.until('2\r\nab\r\n');
      client.send('zz\r\ncd\r\n0\r\n\r\n');
      await wire.closed();
      await client.closed();
      return { leaked: wire.rest, status: client.rest.slice(0, 12) };
    },
    expect: { leaked: '', status: 'HTTP/1.1 400' },
  },
  {
    name: 'a request behind another is a request of its own, never part of the one before',
    run: async lab => {
      const client = await lab.client();
      client.send(`${head(...POST, 'Content-Length: 3')}abc${get('/second')}`);
      const first = await lab.upstream.answer(OK);
      await client.message();
      const second = await lab.upstream.answer(OK);
      await client.message();
      return [first.request.body, second.request.start];
    },
    expect: ['abc', 'GET /second HTTP/1.1'],
  },
];

const limits: Behaviour[] = [
  refusal('a head above the limit', head('GET / HTTP/1.1', 'Host: localhost', `X-Big: ${'x'.repeat(40_000)}`), {
    ...REFUSED,
    status: 431,
  }),
  refusal('a target above the limit', head(`GET /${'x'.repeat(40_000)} HTTP/1.1`, 'Host: localhost'), {
    ...REFUSED,
    status: 431,
  }),
  {
    name: 'a head just below the limit passes whole',
    run: async lab =>
      (await pass(lab, get('/', `X-Big: ${'x'.repeat(12_000)}`))).request.fields.filter(([n]) => n === 'X-Big')[0]?.[1]
        .length,
    expect: 12_000,
  },
  {
    // One thousand is where later nginxes stop (max_headers), Debian's among them.
    name: 'hundreds of small fields pass, all of them',
    run: async lab => {
      const many = Array.from({ length: 900 }, (_, i) => `x${i}: ${i % 10}`);
      return (await pass(lab, get('/', ...many))).request.fields.filter(([name]) => /^x\d+$/.test(name)).length;
    },
    expect: 900,
  },
];

const targets: Behaviour[] = [
  {
    name: 'an absolute target outranks Host and is sent on as a path',
    run: async lab => {
      const { request } = await pass(lab, head('GET http://127.0.0.1:1234/a?b=c HTTP/1.1', 'Host: localhost'));
      return [request.start, field(request, 'host')];
    },
    expect: ['GET /a?b=c HTTP/1.1', '127.0.0.1:1234'],
  },
  {
    name: 'path and query pass as they are, not decoded, not normalised',
    run: async lab => (await pass(lab, get('/a/../b//c%2Fd;e?x=%20&y=[1]&x=2'))).request.start,
    expect: 'GET /a/../b//c%2Fd;e?x=%20&y=[1]&x=2 HTTP/1.1',
  },
  refusal('what an encoded NUL in a path means is the upstream’s to say', get('/a%00b'), TAKEN, {
    expect: REFUSED,
    reason: 'nginx decodes each path to find its location, and refuses one that has NUL in it',
  }),
  refusal('what a path above the root means is the upstream’s to say', get('/../a'), TAKEN, {
    expect: REFUSED,
    reason: 'nginx resolves each path to find its location, and refuses one that leads nowhere',
  }),
  refusal(
    'CONNECT',
    head('CONNECT localhost:443 HTTP/1.1', 'Host: localhost:443'),
    {
      status: 405,
      closed: true,
      passedOn: 0,
    },
    {
      expect: REFUSED,
      reason: 'nginx has no target without a path, and refuses the line before it looks at the method',
    },
  ),
  refusal(
    'TRACE',
    get().replace('GET', 'TRACE'),
    { status: 405, closed: false, passedOn: 0 },
    { expect: { ...REFUSED, status: 405 }, reason: 'nginx ends the connection after it' },
  ),
  {
    name: 'OPTIONS * is about the proxy itself',
    run: async lab => {
      const client = await lab.client();
      client.send(head('OPTIONS * HTTP/1.1', 'Host: localhost'));
      const reply = await client.message();
      return [status(reply), field(reply, 'allow') !== undefined, lab.upstream.connections];
    },
    expect: [204, true, 0],
    differs: {
      nginx: { expect: [400, false, 0], reason: 'nginx has no target but a path, and refuses the line' },
    },
  },
  {
    name: 'a method of which nobody has heard passes as it is',
    run: async lab => (await pass(lab, get().replace('GET', 'PROPFIND'))).request.start,
    expect: 'PROPFIND / HTTP/1.1',
  },
];

export const framingBehaviours: readonly Behaviour[] = [...smuggling, ...limits, ...targets];
