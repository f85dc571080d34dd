import assert from 'node:assert/strict';
import { DEFAULT_LIMITS } from '../../../src/proxy/engine.ts';
import { nginxConfig, type NginxConfigInput } from '../../../src/proxy/nginx-config.ts';
import { upstreamAt } from './engines.ts';

const HOSTILE = 'x; } load_module /tmp/evil.so; #';

const config = (
  changes: Partial<NginxConfigInput> = {},
  snapshot: Partial<NginxConfigInput['snapshot']> = {},
): string =>
  nginxConfig({
    listen: { host: '127.0.0.1', port: 8080 },
    limits: DEFAULT_LIMITS,
    snapshot: { upstreams: [upstreamAt(8001)], origins: [], ...snapshot },
    fallback: { host: '127.0.0.1', port: 8002 },
    user: undefined,
    ...changes,
  });

describe('the configuration of nginx', () => {
  it('leaves out origins, hosts and users with characters that could mean something', () => {
    const origins = [
      'http://good.test:3000',
      'null',
      HOSTILE,
      'http://a" ; evil',
      'http://$http_cookie',
      'http://a\nevil',
    ];
    const text = config({ user: HOSTILE }, { origins, hosts: ['good.test', HOSTILE, '$host', 'a\nevil', '~^.*$'] });
    assert.equal(text, config({}, { origins: ['http://good.test:3000', 'null'], hosts: ['good.test'] }));
  });

  it('takes nothing but an IP address and a port for an address', () => {
    for (const bad of [{ host: 'localhost' }, { host: HOSTILE }, { port: 0 }, { port: 70_000 }, { port: NaN }]) {
      assert.throws(() => config({ listen: { host: '127.0.0.1', port: 8080, ...bad } }), RangeError);
      assert.throws(() => config({ fallback: { host: '127.0.0.1', port: 8002, ...bad } }), RangeError);
      assert.throws(() => config({}, { upstreams: [{ ...upstreamAt(8001), ...bad }] }), RangeError);
    }
  });

  it('names the upstreams that are not draining, and the fallback where none is left', () => {
    const draining = { ...upstreamAt(8003), draining: true };
    assert.match(config({}, { upstreams: [upstreamAt(8001), draining] }), /server 127\.0\.0\.1:8001 max_fails/);
    assert.doesNotMatch(config({}, { upstreams: [upstreamAt(8001), draining] }), /8003/);
    assert.doesNotMatch(config({}, { upstreams: [draining] }), /upstream helix_api/);
  });
});
