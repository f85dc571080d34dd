import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { UserError } from '../../../src/base/errors.ts';
import type { ProxyPlan } from '../../../src/model/plan.ts';
import type { ServiceId } from '../../../src/model/service.ts';
import type { Stack } from '../../../src/session/stack.ts';
import { otherPortAdvice } from '../../../src/session/other-port-advice.ts';
import { readProxySettings } from '../../../src/session/proxy-settings.ts';
import type { ServiceFailure, StartOutcome } from '../../../src/session/stack.ts';
import { nginxForTests } from '../../support/nginx.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup } from '../run/harness.ts';
import { FRONTED_API, Load, SLOW_API } from './front-load.ts';
import { snapshotOf, until, untilState, World } from './harness.ts';

const ROUNDS = 20;

describe('the stable front', function () {
  this.timeout(600_000);
  const cleanup = new Cleanup();
  let world: World;

  beforeEach(async () => {
    world = await World.make(cleanup);
  });

  afterEach(() => cleanup.run());

  async function started(
    proxy: Partial<ProxyPlan> = {},
    replicas = 1,
  ): Promise<{ stack: Stack; api: ServiceId; load: Load }> {
    const api = world.service('api', { changes: { command: [process.execPath, '-e', FRONTED_API], replicas } });
    world.front(proxy);
    const stack = world.stack();
    const outcome = await stack.start();
    assert.equal(outcome.kind, 'started', JSON.stringify(outcome));
    const { port } = snapshotOf(stack, world.proxy);
    const load = new Load({ port: port!, closesIdle: proxy.engine === 'nginx' });
    cleanup.add(() => load.end());
    await busy(load);
    return { stack, api, load };
  }

  /** Requests of every kind have been answered since. */
  async function busy(load: Load): Promise<void> {
    const { answered, posted, streams, tunnels } = load;
    await waitFor(
      'answers of every kind',
      () =>
        load.failures.length > 0 ||
        (load.answered > answered + 3 && load.posted > posted && load.streams > streams && load.tunnels > tunnels),
      { interval: 10, seen: () => load },
    );
  }

  async function rollUnderLoad(proxy: Partial<ProxyPlan>): Promise<void> {
    const { stack, api, load } = await started(proxy);
    for (let round = 1; round <= ROUNDS; round++) {
      const { outcome, notes } = await stack.roll(api);
      assert.equal(outcome.kind, 'started', JSON.stringify(outcome));
      assert.deepEqual(notes, []);
      assert.deepEqual(load.failures, [], `in round ${round}`);
    }
    await busy(load);
    await load.end();
    assert.deepEqual(load.failures, []);
    assert.equal(snapshotOf(stack, api).restarts, ROUNDS);
    assert.ok(load.pids.size > ROUNDS / 2, `${load.pids.size} processes answered`);
  }

  it(`loses nothing in ${ROUNDS} rolling restarts under load`, () => rollUnderLoad({ engine: 'embedded' }));

  it(`loses nothing in ${ROUNDS} rolling restarts under load, with nginx`, async function () {
    const nginx = await nginxForTests();
    if (typeof nginx !== 'string') {
      console.log(`skipped: ${nginx.missing}`);
      return this.skip();
    }
    await rollUnderLoad({ engine: 'nginx', nginxPath: nginx });
  });

  it('loses no idempotent request when one of two replicas is killed', async () => {
    const { stack, api, load } = await started({}, 2);
    const second = stack.snapshot.services.find(one => one.replicaOf === api)!.id;
    for (const id of [second, api]) {
      const { pid } = snapshotOf(stack, id);
      process.kill(pid!, 'SIGKILL');
      await until(stack, `another ${id}`, () => ![undefined, pid].includes(snapshotOf(stack, id).pid));
      await untilState(stack, id, 'healthy');
      await busy(load);
    }
    await load.end();
    // A POST or a stream that was in flight cannot be saved, and must not be sent again.
    assert.deepEqual(
      load.failures.filter(one => one.of === 'gets'),
      [],
    );
  });

  it('has more and fewer replicas while it runs, and remembers how many', async () => {
    const { stack, api, load } = await started();
    assert.equal((await stack.scale(api, 3)).kind, 'started');
    const ids = (one: Stack): string[] => one.snapshot.services.map(({ id }) => id);
    assert.deepEqual(ids(stack), ['api', 'api-2', 'api-3', 'proxy']);
    const ports = new Set(stack.snapshot.services.map(({ port }) => port));
    assert.equal(ports.size, 4);
    await waitFor('answers of all three', () => load.pids.size === 3, { interval: 10, seen: () => load });
    const other = world.stack();
    await other.connect();
    await until(other, 'the replicas, in another client', () => ids(other).join() === 'api,api-2,api-3,proxy');
    assert.equal((await stack.scale(api, 1)).kind, 'alreadyRunning');
    assert.deepEqual(ids(stack), ['api', 'proxy']);
    await busy(load);
    await load.end();
    assert.deepEqual(load.failures, []);
    await assert.rejects(stack.scale(api, 0), /1 to 64 replicas/);
    await assert.rejects(stack.scale(world.proxy, 2), /only one Proxy/);
  });

  it('changes its engine while it runs, on the same port', async function () {
    const nginx = await nginxForTests();
    if (typeof nginx !== 'string') {
      console.log(`skipped: ${nginx.missing}`);
      return this.skip();
    }
    const { stack, load } = await started();
    await load.end();
    const { pid, url } = snapshotOf(stack, world.proxy);
    const engine = async (): Promise<string> => {
      const via =
        (await (await fetch(`${url}/health`)).text()) && (await fetch(`${url}/work`)).headers.get('keep-alive');
      return via === null ? 'nginx' : 'embedded';
    };
    assert.equal(await engine(), 'embedded');
    for (const wanted of ['nginx', 'embedded'] as const) {
      world.front({ engine: wanted, nginxPath: nginx });
      stack.replacePlan(world.plan());
      await waitFor(`the ${wanted} engine`, async () => (await engine()) === wanted, { interval: 50 });
      assert.equal(snapshotOf(stack, world.proxy).pid, pid);
    }
  });

  const SHORT_MS = 1_000;
  /** No test is to see the end of it. */
  const LONG_MS = 600_000;
  /** Longer than the short limit, and than a supervisor waits for a proxy beyond it. */
  const BEYOND_SHORT_MS = 5_000;

  /** Requests are open while the limit is short; then another client, as a command line, does something with a long one. */
  async function outlastShortLimit(
    proxy: Partial<ProxyPlan>,
    count: number,
    act: (client: Stack, api: ServiceId) => Promise<StartOutcome>,
  ): Promise<void> {
    const changes = { command: [process.execPath, '-e', SLOW_API], replicas: count };
    const api = world.service('api', { changes });
    world.front({ ...proxy, drainMs: SHORT_MS });
    const stack = world.stack();
    assert.equal((await stack.start()).kind, 'started');
    const { port, pid } = snapshotOf(stack, world.proxy);
    const known = new Set<string>();
    await waitFor('the proxy to know all', async () => {
      known.add(await (await fetch(`http://127.0.0.1:${port}/`)).text());
      return known.size === count;
    });
    const answers = await Promise.all(Array.from({ length: count }, () => fetch(`http://127.0.0.1:${port}/slow`)));
    world.front({ ...proxy, drainMs: LONG_MS });
    const client = world.stack();
    await client.connect();
    const outcome = act(client, api);
    await until(stack, 'the drain', () => stack.snapshot.services.some(one => one.draining));
    await sleep(BEYOND_SHORT_MS);
    await writeFile(join(world.workspace, 'finish'), '');
    const texts = await Promise.all(answers.map(answer => answer.text()));
    for (const text of texts) assert.match(text, /^begin \d+ end$/);
    assert.equal(new Set(texts).size, count, 'each from another process');
    assert.match((await outcome).kind, /^(started|alreadyRunning)$/);
    assert.equal(snapshotOf(stack, world.proxy).pid, pid);
  }

  const roll = async (client: Stack, api: ServiceId): Promise<StartOutcome> => (await client.roll(api)).outcome;

  it('has a changed limit for draining without a restart of the proxy', () =>
    outlastShortLimit({ engine: 'embedded' }, 1, roll));

  it('has a changed limit for draining without a restart of the proxy, with nginx', async function () {
    const nginx = await nginxForTests();
    if (typeof nginx !== 'string') {
      console.log(`skipped: ${nginx.missing}`);
      return this.skip();
    }
    await outlastShortLimit({ engine: 'nginx', nginxPath: nginx }, 1, roll);
  });

  it('has a changed limit for a replica that is taken away', () =>
    outlastShortLimit({}, 2, (client, api) => client.scale(api, 1)));

  it('tells the proxy of a changed configuration before each kind of restart', async () => {
    const { stack, api, load } = await started();
    await load.end();
    const limit = async (): Promise<number | undefined> => (await readProxySettings(stack.dir))?.drainMs;
    const restarts: ((client: Stack) => Promise<unknown>)[] = [
      client => client.restart(api),
      client => client.restartAll(),
      client => client.roll(api),
      client => client.restart(world.proxy),
    ];
    for (const [index, restart] of restarts.entries()) {
      world.front({ drainMs: index });
      const client = world.stack();
      await client.connect();
      assert.notEqual(await limit(), index);
      await restart(client);
      assert.equal(await limit(), index);
    }
  });

  it('has an address of its own where its port is taken, which is told once, and none where it is to be that one', async () => {
    const api = world.service('api');
    world.front();
    await cleanup.stranger(world.band.to);
    const stack = world.stack();
    assert.equal((await stack.start()).kind, 'started');
    const { port, url } = snapshotOf(stack, world.proxy);
    assert.ok(port! >= 8300 && port! <= 8399, String(port));
    const advice = (): Promise<string | undefined> => otherPortAdvice(stack.dir, stack.plan, stack.snapshot);
    const told = await advice();
    assert.ok(told?.includes(`${url}: ${world.band.to} is taken by `), told);
    assert.ok(told?.includes(`pid ${process.pid}`), told);
    assert.equal(await advice(), undefined);
    await stack.stop();
    world.front({ strict: true });
    const strict = world.stack();
    const outcome = await strict.start();
    assert.equal(outcome.kind, 'failed');
    const [{ service, problem }] = outcome.failures as [ServiceFailure];
    assert.equal(service.id, world.proxy);
    assert.match(problem.message, new RegExp(`${world.band.to}.*pid ${process.pid}`, 's'));
    assert.equal(snapshotOf(strict, api).state.kind, 'healthy');
    assert.equal(snapshotOf(strict, world.proxy).readyPort, undefined);
  });

  it('goes on with the engine that it has where the wanted one is missing, and says so once', async () => {
    const { stack, load } = await started();
    const refused: UserError[] = [];
    const subscription = stack.onProxyRefused(error => refused.push(error));
    cleanup.add(() => subscription.dispose());
    const { pid } = snapshotOf(stack, world.proxy);
    const want = (engine: ProxyPlan['engine']): void => {
      world.front({ engine, nginxPath: '/no/such/nginx' });
      stack.replacePlan(world.plan());
    };
    const told = (count: number): Promise<unknown> =>
      waitFor(`${count} refusals`, () => refused.length >= count, { interval: 10 });
    want('nginx');
    await told(1);
    // As with each further setting that is changed, and each start.
    want('nginx');
    assert.equal((await stack.start()).kind, 'alreadyRunning');
    assert.equal(refused.length, 1);
    assert.match(refused[0]!.message, /nginxPath.*embedded/s);
    assert.equal(refused[0]!.action?.label, 'Use the embedded engine');
    assert.equal(world.logged.filter(line => line.includes('nginxPath')).length, 1);
    await busy(load);
    assert.deepEqual(load.failures, []);
    assert.equal(snapshotOf(stack, world.proxy).pid, pid);
    // Put right and wrong once more is another time.
    want('embedded');
    assert.equal((await stack.start()).kind, 'alreadyRunning');
    want('nginx');
    await told(2);
  });

  it('says how to get nginx where it is missing, and leaves the rest running', async () => {
    const api = world.service('api');
    world.front({ engine: 'nginx', nginxPath: '/no/such/nginx' });
    const stack = world.stack();
    const outcome = await stack.start();
    assert.equal(outcome.kind, 'failed');
    assert.match(outcome.failures[0]!.problem.message, /nginxPath.*embedded/s);
    assert.equal(outcome.failures[0]!.problem.action?.label, 'Use the embedded engine');
    assert.equal(snapshotOf(stack, api).state.kind, 'healthy');
  });
});
