import { strict as assert } from 'node:assert';
import { UserError } from '../../../src/base/errors.ts';
import type { PublishPlan } from '../../../src/model/plan.ts';
import { publishedValues } from '../../../src/model/publication.ts';
import { httpUrl, type ServiceSnapshot, stoppedSnapshot, toServiceId } from '../../../src/model/service.ts';

const PLAN: PublishPlan = { envFile: undefined, names: {}, settings: true, keepOnStop: false };

function service(id: string, changes: Partial<ServiceSnapshot> = {}): ServiceSnapshot {
  return { ...stoppedSnapshot({ id: toServiceId(id), label: id, host: '127.0.0.1' }), ...changes };
}

const up = (id: string, port: number, changes: Partial<ServiceSnapshot> = {}): ServiceSnapshot =>
  service(id, { state: { kind: 'healthy', since: 0 }, port, readyPort: port, ...changes });

const published = (services: readonly ServiceSnapshot[], names: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(publishedValues({ workspace: '/w', services }, { ...PLAN, names }));

describe('publication', () => {
  const cases: [what: string, services: ServiceSnapshot[], names: Record<string, string>, expected: object][] = [
    ['of nothing', [], {}, {}],
    ['of what is stopped', [service('api'), service('postgres')], {}, {}],
    ['of what is on its way: not before it was healthy', [service('api', { port: 8001 })], {}, {}],
    [
      'of the API',
      [up('api', 8023)],
      {},
      {
        HELIX_API_URL: 'http://127.0.0.1:8023',
        HELIX_API_DIRECT_URL: 'http://127.0.0.1:8023',
        API_HOST: '127.0.0.1',
        API_PORT: '8023',
      },
    ],
    [
      'of a whole HELIX',
      [up('postgres', 5432), up('orchestrator', 8101), up('worker', 8202), up('api', 8023)],
      {},
      {
        POSTGRES_PORT: '5432',
        ORCHESTRATOR_PORT: '8101',
        WORKER_PORT: '8202',
        API_PORT: '8023',
        API_HOST: '127.0.0.1',
        HELIX_API_URL: 'http://127.0.0.1:8023',
        HELIX_API_DIRECT_URL: 'http://127.0.0.1:8023',
      },
    ],
    [
      'of what restarts on its port: it stays',
      [up('worker', 8202, { state: { kind: 'backingOff', retryAt: 1, reason: '' } })],
      {},
      { WORKER_PORT: '8202' },
    ],
    [
      'of an API on every address: as it is called, and as it listens',
      [up('api', 8023, { host: '0.0.0.0' })],
      {},
      {
        HELIX_API_URL: 'http://127.0.0.1:8023',
        HELIX_API_DIRECT_URL: 'http://127.0.0.1:8023',
        API_HOST: '0.0.0.0',
        API_PORT: '8023',
      },
    ],
    ['of services that HELIX has no name for', [up('other', 9000)], {}, {}],
    [
      'under further names',
      [up('other', 9000)],
      { VITE_URL: '${url:other}/v1', OTHER_PORT: '${port:other}', PLAIN: 'as it is', PRICE: '$${5}' },
      { VITE_URL: 'http://127.0.0.1:9000/v1', OTHER_PORT: '9000', PLAIN: 'as it is', PRICE: '${5}' },
    ],
    [
      'under further names, without those whose services are not up',
      [up('api', 8023), service('other', { port: 9000 })],
      { BOTH: '${url:api} ${url:other}', NOBODY: '${port:nobody}' },
      {
        HELIX_API_URL: 'http://127.0.0.1:8023',
        HELIX_API_DIRECT_URL: 'http://127.0.0.1:8023',
        API_HOST: '127.0.0.1',
        API_PORT: '8023',
      },
    ],
    [
      'of an API behind a proxy: the address that stays, and its own',
      [up('api', 8023), up('proxy', 8312)],
      { VITE_API: '${url:api}', PORT: '${port:api}' },
      {
        HELIX_API_URL: 'http://127.0.0.1:8312',
        HELIX_API_DIRECT_URL: 'http://127.0.0.1:8023',
        API_HOST: '127.0.0.1',
        API_PORT: '8023',
        VITE_API: 'http://127.0.0.1:8312',
        PORT: '8023',
      },
    ],
    ['of a proxy without an API', [up('proxy', 8312)], {}, {}],
    [
      'under a name of ours that the user gives another value',
      [up('worker', 1)],
      { WORKER_PORT: 'x${port:worker}' },
      { WORKER_PORT: 'x1' },
    ],
  ];
  for (const [what, services, names, expected] of cases) {
    it(what, () => assert.deepEqual(published(services, names), expected));
  }

  it('refuses a name whose template means nothing here', () => {
    assert.throws(() => published([], { X: '${workspaceFolder}' }), UserError);
  });

  it('makes an URL of an address that can be called', () => {
    assert.equal(httpUrl('127.0.0.1', 1), 'http://127.0.0.1:1');
    assert.equal(httpUrl('::', 1), 'http://127.0.0.1:1');
    assert.equal(httpUrl('::1', 1), 'http://[::1]:1');
    assert.equal(httpUrl('localhost', 1), 'http://localhost:1');
  });
});
