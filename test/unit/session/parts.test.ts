import { strict as assert } from 'node:assert';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../../src/base/errors.ts';
import type { PlannedService } from '../../../src/model/plan.ts';
import { DEFAULT_RESTART } from '../../../src/model/restart-policy.ts';
import { type ServiceSnapshot, type StackSnapshot, stoppedSnapshot, toServiceId } from '../../../src/model/service.ts';
import { substitute } from '../../../src/model/variables.ts';
import { progressText } from '../../../src/session/progress-text.ts';
import { fillSpec } from '../../../src/session/spec.ts';
import { StopTokens } from '../../../src/session/stop-tokens.ts';
import { Cleanup } from '../run/harness.ts';

const API = toServiceId('api');

function service(changes: Partial<PlannedService>): PlannedService {
  return {
    id: API,
    kind: 'process',
    label: 'API',
    workspace: '/w',
    command: ['run'],
    cwd: '/w',
    env: {},
    host: '127.0.0.1',
    port: { kind: 'none' },
    readiness: { kind: 'tcp' },
    readyTimeoutMs: 1,
    stopTimeoutMs: 1,
    restart: DEFAULT_RESTART,
    tty: false,
    dependsOn: [],
    replicas: 1,
    openPath: '/',
    ...changes,
  };
}

const snapshot = (changes: Partial<ServiceSnapshot>): ServiceSnapshot => ({
  ...stoppedSnapshot({ id: API, label: 'API', host: '127.0.0.1' }),
  ...changes,
});

describe('spec', () => {
  const db = snapshot({ id: toServiceId('db'), port: 5433, host: '0.0.0.0' });
  const stack: StackSnapshot = { workspace: '/w', services: [db, snapshot({ id: toServiceId('idle') })] };

  it('has the addresses of peers, the environment and the folder filled in', () => {
    const spec = fillSpec(
      service({
        command: ['${workspaceFolder}/run', '--db', '${url:db}', '${port:db}'],
        env: { USER_NAME: '${env:NAME}', NONE: '[${env:MISSING}]' },
      }),
      stack,
      { NAME: 'Ada' },
    );
    assert.deepEqual(spec.command, ['/w/run', '--db', 'http://127.0.0.1:5433', '5433']);
    assert.deepEqual(spec.env, { USER_NAME: 'Ada', NONE: '[]' });
  });

  it('leaves to the supervisor what it alone knows, and nothing that only looks so', () => {
    const spec = fillSpec(service({ command: ['${node}', '${port}', '$${port}', '${env:TRAP}', 'a$'] }), stack, {
      TRAP: '${port} ${nonsense',
    });
    const started = spec.command!.map(template => substitute(template, { node: '/node', port: 8023 }));
    assert.deepEqual(started, ['/node', '8023', '${port}', '${port} ${nonsense', 'a$']);
  });

  it('has nothing of the plan that a supervisor has no use for', () => {
    const keys = Object.keys(fillSpec(service({}), stack, {}));
    for (const key of ['kind', 'dependsOn', 'openPath']) assert.ok(!keys.includes(key), key);
  });

  it('cannot be made while a peer has no port', () => {
    for (const peer of ['idle', 'nobody']) {
      const make = (): unknown => fillSpec(service({ env: { X: `\${url:${peer}}` } }), stack, {});
      assert.throws(make, (error: unknown) => error instanceof UserError && error.message.includes(peer));
    }
  });
});

describe('progress', () => {
  const waitingFor = snapshot({ port: 8023, state: { kind: 'starting', since: 0 } });

  it('counts from one, and names the service and its port once it has one', () => {
    assert.equal(progressText({ ready: 1, total: 4, waitingFor }), '2 of 4: waiting for api on 8023');
    const { port: _port, ...without } = waitingFor;
    assert.equal(progressText({ ready: 0, total: 1, waitingFor: without }), '1 of 1: waiting for api');
  });

  it('says why it takes longer', () => {
    const state = { kind: 'backingOff', retryAt: 0, reason: 'exited with code 1' } as const;
    const text = progressText({ ready: 0, total: 1, waitingFor: { ...waitingFor, state } });
    assert.equal(text, '1 of 1: waiting for api (exited with code 1; trying again)');
  });
});

describe('stop tokens', () => {
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  it('change with every stop of what they stand for, and with no other', async () => {
    const tokens = new StopTokens(await cleanup.folder());
    const worker = toServiceId('worker');
    const read = async (): Promise<string[]> => [
      await tokens.read(),
      await tokens.read(API),
      await tokens.read(worker),
    ];
    const changed = async (before: readonly string[]): Promise<boolean[]> =>
      (await read()).map((token, index) => token !== before[index]);
    let before = await read();
    await tokens.renew([API]);
    assert.deepEqual(await changed(before), [false, true, false]);
    for (let round = 0; round < 2; round++) {
      before = await read();
      await tokens.renew(undefined);
      assert.deepEqual(await changed(before), [true, true, true]);
    }
  });

  it('tell a start that looks late of the stops since it was asked for, and of no earlier ones', async () => {
    const tokens = new StopTokens(await cleanup.folder());
    const now = Date.now();
    const wasStopped = async (askedAt: number): Promise<boolean[]> => [
      (await tokens.readAsOf(askedAt)) !== (await tokens.read()),
      (await tokens.readAsOf(askedAt, API)) !== (await tokens.read(API)),
    ];
    assert.deepEqual(await wasStopped(now), [false, false]);
    await tokens.renew([API], now - 100);
    assert.deepEqual(await wasStopped(now - 200), [false, true]);
    assert.deepEqual(await wasStopped(now - 50), [false, false]);
    await tokens.renew(undefined, now - 80);
    assert.deepEqual(await wasStopped(now - 90), [true, true]);
    // Of a clock that was an hour ahead.
    await tokens.renew(undefined, now + 3_600_000);
    assert.deepEqual(await wasStopped(now), [false, false]);
  });

  it('take back their place from whatever somebody has put there', async () => {
    const folder = await cleanup.folder();
    const tokens = new StopTokens(folder);
    for (const name of ['.stopped', '.stopped.api']) await mkdir(join(folder, name, 'inner'), { recursive: true });
    const before = await tokens.read(API);
    await tokens.renew(undefined);
    await tokens.renew([API]);
    assert.notEqual(await tokens.read(API), before);
    assert.notEqual(await tokens.read(), '');
  });

  it('change, or are gone, where they cannot be written, and never keep a stop from going on', async () => {
    const folder = await cleanup.folder();
    await new StopTokens(join(folder, 'missing')).renew(undefined);
    const tokens = new StopTokens(folder);
    await tokens.renew([API]);
    const before = await tokens.read(API);
    await rm(join(folder, '.stopped.api'));
    await symlink(join(folder, 'missing', 'file'), join(folder, '.stopped.api'));
    await tokens.renew([API]);
    assert.notEqual(await tokens.read(API), before);
  });
});
