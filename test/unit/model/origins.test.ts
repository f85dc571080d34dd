import { strict as assert } from 'node:assert';
import { exposureNote } from '../../../src/model/host.ts';
import { joinOrigins, originsOf } from '../../../src/model/origins.ts';

describe('allowed origins', () => {
  it("are the user's own and then ours, each once", () => {
    assert.equal(
      joinOrigins(' http://localhost:3000, http://localhost:8023 ,', originsOf(8023)),
      'http://localhost:3000,http://localhost:8023,http://127.0.0.1:8023',
    );
    assert.equal(joinOrigins('', originsOf(1)), 'http://localhost:1,http://127.0.0.1:1');
    assert.equal(joinOrigins('*', originsOf(1)), '*');
  });
});

describe('a service that others can reach', () => {
  for (const host of ['0.0.0.0', '::', '192.168.1.7', 'devbox'])
    it(`is told of when it listens on ${host}`, () =>
      assert.match(exposureNote({ label: 'API', host }) ?? '', new RegExp(`API listens on ${host}`)));
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost'])
    it(`is not one on ${host}`, () => assert.equal(exposureNote({ label: 'API', host }), undefined));
});
