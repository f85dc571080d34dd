import { type Behaviour, get, head, type Lab, pass } from './behaviour.ts';
import { ORIGIN } from './engines.ts';
import { field, type Message, status } from './wire.ts';

async function ask(lab: Lab, request: string): Promise<Message> {
  const client = await lab.client();
  client.send(request);
  return client.message();
}

const hosts = (name: string, host: string, expect: number): Behaviour => ({
  name,
  run: async lab => status(await ask(lab, head('GET /health HTTP/1.1', `Host: ${host}`))),
  expect,
});

const host: Behaviour[] = [
  hosts('Host localhost with a port is served', 'localhost:8080', 200),
  hosts('Host 127.0.0.1 is served', '127.0.0.1', 200),
  hosts('Host [::1] is served', '[::1]:8080', 200),
  hosts('a name below localhost is served', 'helix.localhost', 200),
  hosts('a configured host is served, in any case', 'HELIX.test:8080', 200),
  hosts('a foreign Host is refused (DNS rebinding)', 'evil.test', 421),
  hosts('a foreign Host that begins like ours is refused', 'localhost.evil.test', 421),
  hosts('a foreign Host that looks like an address is refused', '127.0.0.1.evil.test', 421),
  hosts('a Host with user information is refused', 'localhost@evil.test', 421),
  {
    name: 'an absolute target of a foreign host is refused whatever Host says',
    run: async lab => status(await ask(lab, head('GET http://evil.test/ HTTP/1.1', 'Host: localhost'))),
    expect: 421,
  },
];

const cors: Behaviour[] = [
  {
    name: 'the workspace’s origin may read, with credentials, and caches are told',
    run: async lab => {
      const { reply } = await pass(lab, get('/', `Origin: ${ORIGIN}`));
      return ['access-control-allow-origin', 'access-control-allow-credentials', 'vary'].map(name =>
        field(reply, name),
      );
    },
    expect: [ORIGIN, 'true', 'Origin'],
  },
  {
    name: 'the proxy’s own origin may read',
    run: async lab => {
      const origin = `http://localhost:${lab.port}`;
      return field((await pass(lab, get('/', `Origin: ${origin}`))).reply, 'access-control-allow-origin') === origin;
    },
    expect: true,
  },
  {
    name: 'a foreign origin may not read, whatever the upstream grants',
    run: async lab => {
      const reply =
        'HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nContent-Length: 2\r\n\r\nok';
      const { reply: seen } = await pass(lab, get('/', 'Origin: http://evil.test'), reply);
      return [field(seen, 'access-control-allow-origin'), field(seen, 'access-control-allow-credentials')];
    },
    expect: [undefined, undefined],
  },
  {
    name: 'the upstream’s own grant does not come beside ours',
    run: async lab => {
      const reply = 'HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept\r\nContent-Length: 2\r\n\r\nok';
      const { reply: seen } = await pass(lab, get('/', `Origin: ${ORIGIN}`), reply);
      return [field(seen, 'access-control-allow-origin'), field(seen, 'vary')];
    },
    expect: [ORIGIN, 'Accept, Origin'],
  },
  {
    name: 'Vary: Origin comes without an Origin too, once',
    run: async lab => {
      const plain = await pass(lab, get());
      const varied = await pass(lab, get(), 'HTTP/1.1 200 OK\r\nVary: Origin\r\nContent-Length: 2\r\n\r\nok');
      return [field(plain.reply, 'vary'), field(varied.reply, 'vary')];
    },
    expect: ['Origin', 'Origin'],
  },
  {
    name: 'a preflight is answered by the proxy',
    run: async lab => {
      const reply = await ask(
        lab,
        head(
          'OPTIONS /api HTTP/1.1',
          'Host: localhost',
          `Origin: ${ORIGIN}`,
          'Access-Control-Request-Method: PATCH',
          'Access-Control-Request-Headers: X-One, content-type',
        ),
      );
      const names = ['origin', 'credentials', 'methods', 'headers'];
      return [
        status(reply),
        ...names.map(name => field(reply, `access-control-allow-${name}`)),
        lab.upstream.connections,
      ];
    },
    expect: [204, ORIGIN, 'true', 'PATCH', 'x-one, content-type', 0],
  },
  {
    name: 'a preflight of a foreign origin is refused without a grant',
    run: async lab => {
      const reply = await ask(
        lab,
        head(
          'OPTIONS /api HTTP/1.1',
          'Host: localhost',
          'Origin: http://evil.test',
          'Access-Control-Request-Method: PATCH',
        ),
      );
      return [status(reply), field(reply, 'access-control-allow-origin'), lab.upstream.connections];
    },
    expect: [403, undefined, 0],
  },
  {
    name: 'OPTIONS that is no preflight goes to the upstream',
    run: async lab => (await pass(lab, head('OPTIONS /api HTTP/1.1', 'Host: localhost'))).request.start,
    expect: 'OPTIONS /api HTTP/1.1',
  },
];

const own: Behaviour[] = [
  {
    name: 'GET /health is the proxy’s, HELIX’s health the API’s',
    run: async lab => {
      const reply = await ask(lab, get('/health'));
      const { request } = await pass(lab, get('/api/v1/health'));
      return [status(reply), (JSON.parse(reply.body) as { status: string }).status, request.start];
    },
    expect: [200, 'healthy', 'GET /api/v1/health HTTP/1.1'],
  },
  {
    name: '/__helix/endpoints lists the services',
    run: async lab => {
      const { workspace, services } = JSON.parse((await ask(lab, get('/__helix/endpoints'))).body) as {
        workspace: string;
        services: { id: string; port: number }[];
      };
      return [workspace, services[0]?.id, services[0]?.port === lab.upstream.port];
    },
    expect: ['a1b2c3d4e5f6', 'api', true],
  },
  {
    name: '/__helix/endpoints is not for callers beyond a tunnel',
    run: async lab => status(await ask(lab, get('/__helix/endpoints', 'X-Forwarded-For: 203.0.113.7'))),
    expect: 403,
  },
  {
    name: '/__helix/metrics is Prometheus text',
    run: async lab => {
      await pass(lab, get());
      const reply = await ask(lab, get('/__helix/metrics'));
      return [
        field(reply, 'content-type'),
        /^helix_proxy_requests_total\{method="GET",code="2xx"\} \d+$/m.test(reply.body),
      ];
    },
    expect: ['text/plain; version=0.0.4; charset=utf-8', true],
    differs: {
      nginx: {
        expect: ['text/plain; version=0.0.4; charset=utf-8', false],
        reason:
          'the fallback answers, and counts what it carried itself; nginx counts requests only in builds with stub_status',
      },
    },
  },
  {
    name: 'other addresses below /__helix/ are no one’s',
    run: async lab => [status(await ask(lab, get('/__helix/secret'))), lab.upstream.connections],
    expect: [404, 0],
  },
  {
    name: 'the proxy’s own answers end no connection',
    run: async lab => {
      const client = await lab.client();
      client.send(get('/health'));
      await client.message();
      client.send(get('/health').replace('GET', 'HEAD'));
      const reply = await client.message('bodiless');
      client.send(get('/health'));
      return [status(reply), status(await client.message())];
    },
    expect: [200, 200],
  },
];

export const ownBehaviours: readonly Behaviour[] = [...host, ...cors, ...own];
