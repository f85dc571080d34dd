import { strict as assert } from 'node:assert';
import { type HelixConfig, parseConfig, type ServiceConfig } from '../../../src/model/config.ts';
import { BANDS } from '../../../src/model/defaults.ts';
import { withFront } from '../../../src/model/front.ts';
import { dependenciesOf, type Plan, type PlannedService } from '../../../src/model/plan.ts';
import { type PlanContext, planOf } from '../../../src/model/plan-of.ts';
import { DEFAULT_RESTART } from '../../../src/model/restart-policy.ts';
import { toServiceId } from '../../../src/model/service.ts';

const CONTEXT: PlanContext = {
  workspace: '/w',
  source: '/w/helix.config.json',
  settings: { envFile: '.env.local', names: {}, publishSettings: true, keepOnStop: false, postgresEngine: 'auto' },
  env: {},
};

interface Rest {
  readonly publish?: HelixConfig['publish'];
  readonly postgres?: HelixConfig['postgres'];
  readonly proxy?: HelixConfig['proxy'];
}

/** Through the reader, so that every case is one that a user can write. */
function plan(services: Record<string, ServiceConfig>, context: Partial<PlanContext> = {}, rest: Rest = {}): Plan {
  const parsed = parseConfig(JSON.stringify({ services, ...rest }));
  assert(parsed.ok, JSON.stringify(parsed));
  return planOf(parsed.config, { ...CONTEXT, ...context });
}

function planned(id: string, one: ServiceConfig, context: Partial<PlanContext> = {}): PlannedService {
  const [found] = plan({ [id]: one }, context).services;
  return found!;
}

const run = { command: ['run'] } as const;

describe('plan', () => {
  it('fills in what the configuration leaves out', () => {
    assert.deepEqual(planned('api', run), {
      id: 'api',
      kind: 'process',
      label: 'API',
      workspace: '/w',
      cwd: '/w',
      command: ['run'],
      env: {},
      host: '127.0.0.1',
      port: { kind: 'band', band: BANDS.api },
      readiness: { kind: 'tcp' },
      dependsOn: [],
      replicas: 1,
      readyTimeoutMs: 60_000,
      stopTimeoutMs: 10_000,
      restart: DEFAULT_RESTART,
      tty: false,
      openPath: '/',
    });
  });

  it('takes what the configuration says', () => {
    const service = planned('thing', {
      ...run,
      label: 'My thing',
      cwd: 'sub/dir',
      env: { A: 'b' },
      port: { from: 9000, to: 9010 },
      readiness: { http: '/ok', status: 204, expect: { a: 1 }, timeoutSeconds: 1.5 },
      restart: { policy: 'never', initialDelayMs: 1, maxDelayMs: 2, maxExits: 3, windowSeconds: 4, resetSeconds: 5 },
      stopTimeoutSeconds: 6,
      tty: true,
      path: '/docs',
      replicas: 3,
    });
    const { label, cwd, env, port, readiness, readyTimeoutMs, restart, stopTimeoutMs, tty, openPath, replicas } =
      service;
    const taken = { label, cwd, env, port, readiness, readyTimeoutMs, restart, stopTimeoutMs, tty, openPath, replicas };
    // As it reaches the supervisor: the reader's objects have no prototype.
    assert.deepEqual(JSON.parse(JSON.stringify(taken)), {
      label: 'My thing',
      cwd: '/w/sub/dir',
      env: { A: 'b' },
      port: { kind: 'band', band: { from: 9000, to: 9010 } },
      readiness: { kind: 'http', path: '/ok', status: 204, expect: { a: 1 } },
      readyTimeoutMs: 1_500,
      restart: { policy: 'never', initialDelayMs: 1, maxDelayMs: 2, maxExits: 3, windowMs: 4_000, resetMs: 5_000 },
      stopTimeoutMs: 6_000,
      tty: true,
      openPath: '/docs',
      replicas: 3,
    });
  });

  const ports: [what: string, id: string, config: ServiceConfig, expected: object][] = [
    ['its own band for a name of HELIX', 'worker', run, { kind: 'band', band: BANDS.worker }],
    ['none for another name', 'thing', run, { kind: 'none' }],
    ["another service's band by name", 'thing', { ...run, port: 'api' }, { kind: 'band', band: BANDS.api }],
    ['a fixed one', 'api', { ...run, port: 9000 }, { kind: 'fixed', port: 9000 }],
    ['none if it says so', 'api', { ...run, port: false }, { kind: 'none' }],
  ];
  for (const [what, id, config, expected] of ports) {
    it(`gives a service ${what}`, () => assert.deepEqual(planned(id, config).port, expected));
  }

  it('takes the fixed port of one service out of the bands of the others', () => {
    const { services } = plan({
      api: run,
      tool: { ...run, port: 8010 },
      worker: run,
      other: { ...run, port: { from: 8005, to: 8010 } },
    });
    const found = Object.fromEntries(services.map(({ id, port }) => [id, port]));
    assert.deepEqual(found, {
      api: { kind: 'band', band: BANDS.api, except: [8010] },
      tool: { kind: 'fixed', port: 8010 },
      worker: { kind: 'band', band: BANDS.worker },
      other: { kind: 'band', band: { from: 8005, to: 8010 }, except: [8010] },
    });
  });

  const readiness: [ServiceConfig, object][] = [
    [
      { ...run, readiness: { http: '/h' } },
      { kind: 'http', path: '/h', status: 200 },
    ],
    [{ ...run, readiness: { tcp: true } }, { kind: 'tcp' }],
    [
      { ...run, readiness: { log: 'up$' } },
      { kind: 'log', pattern: 'up$' },
    ],
    [
      { ...run, readiness: { aliveSeconds: 0 } },
      { kind: 'alive', seconds: 0 },
    ],
    [{ ...run, readiness: { timeoutSeconds: 5 } }, { kind: 'tcp' }],
    [
      { ...run, port: false },
      { kind: 'alive', seconds: 1 },
    ],
  ];
  for (const [config, expected] of readiness) {
    const { port, readiness: asked } = config;
    it(`waits as told by ${JSON.stringify({ port, readiness: asked })}`, () =>
      assert.deepEqual(planned('api', config).readiness, expected));
  }

  it('puts services after what they depend on, and else as they are written', () => {
    const order = plan({
      worker: { ...run, dependsOn: ['api', 'db'] },
      first: run,
      api: { ...run, dependsOn: ['db'] },
      db: run,
      last: run,
    });
    assert.deepEqual(
      order.services.map(service => service.id),
      ['db', 'api', 'worker', 'first', 'last'],
    );
    assert.deepEqual([...dependenciesOf(order, toServiceId('worker'))], ['api', 'db']);
    assert.deepEqual([...dependenciesOf(order, toServiceId('db'))], []);
  });

  it('takes an absolute working directory as it is', () => {
    assert.equal(planned('api', { ...run, cwd: '/elsewhere' }).cwd, '/elsewhere');
  });

  it('takes the command of this platform', () => {
    const command = { [process.platform]: ['here'], default: ['elsewhere'] };
    assert.deepEqual(planned('api', { command }).command, ['here']);
    assert.deepEqual(planned('api', { command: { default: ['anywhere'] } }).command, ['anywhere']);
  });

  describe('for PostgreSQL', () => {
    const postgres: ServiceConfig = { type: 'postgres' };

    it('has the fixed port 5432 unless .env or the configuration says another', () => {
      const portOf = (config: ServiceConfig, env: Record<string, string> = {}): unknown =>
        planned('postgres', config, { env }).port;
      assert.deepEqual(portOf(postgres), { kind: 'fixed', port: 5432 });
      assert.deepEqual(portOf(postgres, { POSTGRES_PORT: ' 6000 ' }), { kind: 'fixed', port: 6000 });
      assert.deepEqual(portOf(postgres, { POSTGRES_PORT: '' }), { kind: 'fixed', port: 5432 });
      assert.deepEqual(portOf({ ...postgres, port: 7000 }, { POSTGRES_PORT: '6000' }), { kind: 'fixed', port: 7000 });
    });

    for (const text of ['x', '0', '65536', '-1', '5432.5', '5432;']) {
      it(`refuses POSTGRES_PORT=${text}, and says what it may be`, () => {
        const make = (): unknown => planned('postgres', postgres, { env: { POSTGRES_PORT: text } });
        assert.throws(make, /POSTGRES_PORT is ".*", not a port \(1 to 65535\)\. Correct it in \.env/);
      });
    }

    it('has its credentials from the environment, with the defaults of HELIX', () => {
      const of = (env: Record<string, string>): unknown => plan({ postgres }, { env }).postgres;
      assert.deepEqual(of({}), {
        engine: 'auto',
        image: 'postgres:13',
        host: 'localhost',
        database: 'helix',
        user: 'helix_user',
        password: '',
      });
      assert.deepEqual(of({ POSTGRES_HOST: 'db', POSTGRES_DB: 'd', POSTGRES_USER: 'u', POSTGRES_PASSWORD: ' p ' }), {
        engine: 'auto',
        image: 'postgres:13',
        host: 'db',
        database: 'd',
        user: 'u',
        password: ' p ',
      });
    });

    it('takes its engine from the configuration before the settings', () => {
      const settings = { ...CONTEXT.settings, postgresEngine: 'system' } as const;
      assert.equal(plan({ postgres }, { settings }).postgres.engine, 'system');
      assert.equal(plan({ postgres }, { settings }, { postgres: { engine: 'embedded' } }).postgres.engine, 'embedded');
    });
  });

  describe('for the proxy', () => {
    it('asks for none unless it is enabled, and then for the guide’s port', () => {
      const off = { enabled: false, engine: 'embedded', port: 8080, strict: false, drainMs: 30_000 };
      assert.deepEqual(plan({ api: run }).proxy, { ...off, origins: [], watch: [], nginxPath: '' });
      assert.equal(plan({ api: run }, {}, { proxy: { enabled: true } }).proxy.enabled, true);
    });

    it('takes what the configuration says, and its port out of every band', () => {
      const proxy = {
        enabled: true,
        engine: 'nginx',
        port: 8050,
        strict: true,
        drainSeconds: 1.5,
        origins: ['http://localhost:5173', '${url:web}'],
        watch: ['src/**/*.py'],
      } as const;
      const found = plan({ api: run, web: { ...run, port: 9000 } }, {}, { proxy });
      const { drainSeconds: _drainSeconds, ...rest } = proxy;
      assert.deepEqual(found.proxy, { ...rest, drainMs: 1_500, nginxPath: '' });
      assert.deepEqual(found.services[0]?.port, { kind: 'band', band: BANDS.api, except: [8050] });
    });
  });

  it('restarts a service by its own globs, and the API by those of the proxy as well', () => {
    const services = { api: { ...run, watch: ['src/api/*'] }, web: { ...run, port: 9000, watch: ['web/*'] } };
    const found = withFront(plan(services, {}, { proxy: { watch: ['src/shared/*'] } }));
    assert.deepEqual(
      found.services.map(({ watch }) => watch),
      [['src/api/*', 'src/shared/*'], ['web/*']],
    );
  });

  describe('for publishing', () => {
    it('goes by the settings', () => {
      const { publish } = plan({ api: run });
      assert.deepEqual(publish, { envFile: '/w/.env.local', names: {}, settings: true, keepOnStop: false });
    });

    it('goes by the configuration first, and joins the names of both', () => {
      const settings = { ...CONTEXT.settings, names: { A: 'settings', B: 'settings' } };
      const { publish } = plan(
        { api: run },
        { settings },
        { publish: { envFile: 'sub/.env', names: { B: 'config', C: 'config' }, settings: false, keepOnStop: true } },
      );
      assert.deepEqual(publish, {
        envFile: '/w/sub/.env',
        names: { A: 'settings', B: 'config', C: 'config' },
        settings: false,
        keepOnStop: true,
      });
    });

    it('writes no file where none is named', () => {
      const settings = { ...CONTEXT.settings, envFile: '' };
      assert.equal(plan({ api: run }, { settings }).publish.envFile, undefined);
    });
  });
});
