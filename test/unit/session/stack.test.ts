import { strict as assert } from 'node:assert';
import { rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { untilAborted } from '../../../src/base/async.ts';
import { UserError } from '../../../src/base/errors.ts';
import type { FaultPoint } from '../../../src/base/fault.ts';
import type { RunSpec, ServiceId } from '../../../src/model/service.ts';
import { identify, isSame, type ProcessIdentity } from '../../../src/run/processes.ts';
import type { PostgresProvider, StartOutcome } from '../../../src/session/outcomes.ts';
import type { Stack } from '../../../src/session/stack.ts';
import { Cleanup, freeBand, SERVICES, untilGone } from '../run/harness.ts';
import { pidsOf, snapshotOf, statesOf, until, untilState, World } from './harness.ts';

/** Only the second SIGINT ends it. */
const STUBBORN = [
  process.execPath,
  '-e',
  `let count = 0; process.on('SIGINT', () => { if (++count > 1) process.exit(); }); ${SERVICES.http}`,
];

/** Prints where the database is, so it can only be started when that has a port. */
const USES_DB = { command: [process.execPath, '-e', `console.log(process.argv[1]); ${SERVICES.http}`, '${url:db}'] };

async function supervisorOf(stack: Stack, id: ServiceId): Promise<ProcessIdentity> {
  const identity = await identify(snapshotOf(stack, id).supervisorPid ?? 0);
  assert.ok(identity, `${id} has a supervisor`);
  return identity;
}

function failuresOf(outcome: StartOutcome): { id: string; message: string; skipped: readonly string[] }[] {
  assert.equal(outcome.kind, 'failed');
  return outcome.failures.map(({ service, problem, skipped }) => ({
    id: service.id,
    message: problem.message,
    skipped,
  }));
}

describe('stack', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let world: World;

  beforeEach(async () => {
    world = await World.make(cleanup);
  });

  afterEach(() => cleanup.run());

  const go = (id: ServiceId): Promise<void> => writeFile(join(world.workspace, `go-${id}`), '');

  /** A start that waits for a service which is not let go. */
  async function startUntil(
    stack: Stack,
    id: ServiceId,
    signal?: AbortSignal,
  ): Promise<{ outcome: Promise<StartOutcome> }> {
    const outcome = stack.start(signal ? { signal } : {});
    await until(stack, `${id} to be on its way`, async () => (await world.story()).includes(`start ${id}`));
    return { outcome };
  }

  describe('start', () => {
    it('goes by dependencies, and tells how far it is', async () => {
      world.service('db');
      world.service('api', { dependsOn: ['db'] });
      world.service('worker', { dependsOn: ['api', 'db'] });
      const stack = world.stack();
      const progress: string[] = [];
      const outcome = await stack.start({
        onProgress: ({ ready, total, waitingFor }) => progress.push(`${ready} of ${total}, ${waitingFor.label}`),
      });
      assert.equal(outcome.kind, 'started');
      assert.deepEqual(await world.story(), [
        'start db',
        'ready db',
        'start api',
        'ready api',
        'start worker',
        'ready worker',
      ]);
      assert.deepEqual(statesOf(stack), { db: 'healthy', api: 'healthy', worker: 'healthy' });
      assert.deepEqual([...new Set(progress)], ['0 of 3, DB', '1 of 3, API', '2 of 3, WORKER']);
      const ports = new Set(stack.snapshot.services.map(service => service.port));
      assert.equal(ports.size, 3);
    });

    it('gives a service the addresses of those it depends on', async () => {
      const db = world.service('db');
      const api = world.service('api', {
        dependsOn: ['db'],
        changes: {
          command: [process.execPath, '-e', `console.log(process.argv[1]); ${SERVICES.http}`, '${url:db} ${port:db}'],
        },
      });
      const stack = world.stack();
      assert.equal((await stack.start()).kind, 'started');
      const { port } = snapshotOf(stack, db);
      assert.ok((await stack.tail(api, 10)).includes(`http://127.0.0.1:${port} ${port}`));
    });

    it('twice at once, in two clients, makes one set of processes', async () => {
      world.service('db');
      world.service('api', { dependsOn: ['db'] });
      const [one, other] = [world.stack(), world.stack()];
      const outcomes = await Promise.all([one.start(), other.start(), one.start()]);
      // Each client says whether it was the one to start something: one may have started the database, the other the API.
      const kinds = outcomes.map(outcome => outcome.kind);
      assert.ok(kinds.includes('started'));
      assert.ok(
        kinds.every(kind => ['started', 'alreadyRunning'].includes(kind)),
        kinds.join(),
      );
      assert.deepEqual(pidsOf(one), pidsOf(other));
      assert.deepEqual(await world.story(), ['start db', 'ready db', 'start api', 'ready api']);
      await world.untilSupervisors(2);
    });

    it('of some brings up what they depend on, and no more', async () => {
      world.service('db');
      const api = world.service('api', { dependsOn: ['db'] });
      world.service('other');
      const stack = world.stack();
      assert.equal((await stack.start({ only: [api] })).kind, 'started');
      assert.deepEqual(statesOf(stack), { db: 'healthy', api: 'healthy', other: 'stopped' });
    });

    it('of a stack that runs changes nothing', async () => {
      world.service('api');
      const stack = world.stack();
      await stack.start();
      const before = pidsOf(stack);
      assert.equal((await stack.start()).kind, 'alreadyRunning');
      assert.deepEqual(pidsOf(stack), before);
    });

    it('leaves the rest running when a service fails, and names what was skipped because of it', async () => {
      world.service('db');
      world.service('bad', { dependsOn: ['db'], changes: { command: ['no-such-program'] } });
      world.service('next', { dependsOn: ['bad'] });
      world.service('far', { dependsOn: ['db', 'next'] });
      world.service('worse', { changes: { command: ['no-such-program-either'] } });
      world.service('fine', { dependsOn: ['db'] });
      const stack = world.stack();
      const failures = failuresOf(await stack.start());
      assert.deepEqual(
        failures.map(({ id, skipped }) => ({ id, skipped })),
        [
          { id: 'bad', skipped: ['next', 'far'] },
          { id: 'worse', skipped: [] },
        ],
      );
      assert.match(failures[0]!.message, /^Command not found: no-such-program /);
      assert.deepEqual(statesOf(stack), {
        db: 'healthy',
        bad: 'failed',
        next: 'stopped',
        far: 'stopped',
        worse: 'failed',
        fine: 'healthy',
      });
      await world.untilSupervisors(4);
    });

    it('goes on without what cannot be told to the proxy, and stops, where files can no longer be written', async function () {
      if (process.platform !== 'linux') return this.skip();
      world.front();
      world.service('api');
      // Nobody, not even root, can make a file beside this one, as on a full disk.
      await symlink('/proc/version', join(world.dir, '.proxy.json'));
      await symlink('/proc/version', join(world.dir, '.stopped'));
      const stack = world.stack();
      const [failure, ...others] = failuresOf(await stack.start());
      assert.deepEqual([failure?.id, others], ['proxy', []]);
      assert.match(failure?.message ?? '', /\.proxy\.json cannot be written: .*\. Make .* writable/);
      assert.equal(statesOf(stack)['api'], 'healthy');
      await stack.stop();
      await world.untilSupervisors(0);
    });

    it('starts nothing when a stop was asked for since, although it only now gets to it', async () => {
      world.service('api');
      const askedAt = Date.now() - 1;
      await world.stack().stop();
      const outcome = await world.stack().start({ askedAt });
      assert.equal(outcome.kind, 'cancelled');
      await world.untilSupervisors(0);
      assert.equal((await world.stack().start()).kind, 'started');
    });

    it('tries again what had failed', async () => {
      const api = world.service('api', { changes: { readyTimeoutMs: 500 }, waits: true });
      const stack = world.stack();
      assert.match(failuresOf(await stack.start())[0]!.message, /never listened/);
      await go(api);
      assert.equal((await stack.start()).kind, 'started');
    });

    for (const point of [
      'supervisor.claimed',
      'supervisor.leased',
      'supervisor.spawned',
      'supervisor.recorded',
    ] as const) {
      it(`replaces a supervisor that is killed on its way (${point}), also after a stop`, async () => {
        world.service('db');
        const api = world.service('api', { dependsOn: ['db'] });
        const stack = world.stack();
        await stack.start();
        await stack.stop();
        world.breakDown(api, point, point);
        assert.equal((await stack.start()).kind, 'started');
        assert.deepEqual(statesOf(stack), { db: 'healthy', api: 'healthy' });
        assert.equal((await world.processesOf(api)).length, 1);
        await world.untilSupervisors(2);
      });
    }

    it('gives up on a supervisor that is killed again and again', async () => {
      const api = world.service('api');
      world.breakDown(api, ...Array<FaultPoint>(20).fill('supervisor.leased'));
      const stack = world.stack();
      assert.match(
        failuresOf(await stack.start())[0]!.message,
        /^The supervisor of API was killed \d+ times\. Find out/,
      );
      await world.untilSupervisors(0);
    });

    it('brings back what is killed while others still wait for it', async () => {
      const db = world.service('db');
      const api = world.service('api', { dependsOn: ['db'], waits: true });
      const worker = world.service('worker', { dependsOn: ['db', 'api'], changes: USES_DB });
      const stack = world.stack();
      const { outcome } = await startUntil(stack, api);
      const { supervisorPid } = snapshotOf(stack, db);
      process.kill(supervisorPid!, 'SIGKILL');
      await until(stack, 'the loss', () => snapshotOf(stack, db).supervisorPid !== supervisorPid);
      await go(api);
      assert.equal((await outcome).kind, 'started');
      assert.deepEqual(statesOf(stack), { db: 'healthy', api: 'healthy', worker: 'healthy' });
      assert.ok((await stack.tail(worker, 10)).includes(`http://127.0.0.1:${snapshotOf(stack, db).port}`));
      assert.equal((await world.processesOf(db)).length, 1);
      await world.untilSupervisors(3);
    });

    it('does not bring back what is closed while others still wait for it', async () => {
      const db = world.service('db');
      const api = world.service('api', { dependsOn: ['db'], waits: true });
      world.service('worker', { dependsOn: ['db', 'api'], changes: USES_DB });
      const stack = world.stack();
      const { outcome } = await startUntil(stack, api);
      process.kill(snapshotOf(stack, db).supervisorPid!, 'SIGHUP');
      await until(stack, 'its end', () => snapshotOf(stack, db).supervisorPid === undefined);
      await go(api);
      const [failure, ...others] = failuresOf(await outcome);
      assert.deepEqual([failure?.id, failure?.skipped, others], [db, ['worker'], []]);
      assert.match(failure?.message ?? '', /was closed on its way, by a stop, Ctrl-C or the end of its terminal/);
      assert.deepEqual(statesOf(stack), { db: 'stopped', api: 'healthy', worker: 'stopped' });
    });

    it('works where the state folder was removed meanwhile', async () => {
      world.service('api');
      const stack = world.stack();
      await rm(world.dir, { recursive: true });
      assert.equal((await stack.start()).kind, 'started');
    });

    it('shows a service whose supervisor has no orders yet as planned', async () => {
      const db = world.service('db', { waits: true });
      const api = world.service('api', { dependsOn: ['db'] });
      const stack = world.stack();
      const { outcome } = await startUntil(stack, db);
      await until(stack, 'its supervisor', () => snapshotOf(stack, api).supervisorPid !== undefined);
      const { label, host, state } = snapshotOf(stack, api);
      assert.deepEqual({ label, host, state }, { label: 'API', host: '127.0.0.1', state: { kind: 'stopped' } });
      await go(db);
      assert.equal((await outcome).kind, 'started');
    });
  });

  describe('cancel', () => {
    it('takes back what it began, dependents first, and leaves what ran before', async () => {
      const before = world.service('before');
      world.service('db');
      world.service('api', { dependsOn: ['db'] });
      const last = world.service('last', { dependsOn: ['api', 'before'], waits: true });
      const stack = world.stack();
      await stack.start({ only: [before] });
      const { pid } = snapshotOf(stack, before);
      const cancel = new AbortController();
      const { outcome } = await startUntil(stack, last, cancel.signal);
      cancel.abort();
      assert.deepEqual(await outcome, { kind: 'cancelled' });
      assert.deepEqual(statesOf(stack), { before: 'healthy', db: 'stopped', api: 'stopped', last: 'stopped' });
      assert.equal(snapshotOf(stack, before).pid, pid);
      const stops = (await world.story()).filter(line => line.startsWith('stop'));
      assert.deepEqual(stops, ['stop last', 'stop api', 'stop db']);
      await world.untilSupervisors(1);
    });

    it('leaves alone what was on its way before, though not healthy yet', async () => {
      const slow = world.service('slow', { waits: true });
      const api = world.service('api', { waits: true });
      const [one, other] = [world.stack(), world.stack()];
      const first = new AbortController();
      const { outcome } = await startUntil(one, slow, first.signal);
      // The client goes away; what it began goes on by itself.
      one.dispose();
      await outcome;
      await other.connect();
      await until(other, 'the service', () => snapshotOf(other, slow).pid !== undefined);
      const { pid } = snapshotOf(other, slow);
      const cancel = new AbortController();
      const second = await startUntil(other, api, cancel.signal);
      cancel.abort();
      assert.equal((await second.outcome).kind, 'cancelled');
      assert.equal(snapshotOf(other, slow).pid, pid);
    });
  });

  describe('stop', () => {
    it('stops everything, dependents first, in whatever client', async () => {
      world.service('db');
      world.service('api', { dependsOn: ['db'] });
      world.service('worker', { dependsOn: ['api'] });
      const [one, other] = [world.stack(), world.stack()];
      await one.start();
      assert.deepEqual(await other.stop(), { left: [] });
      assert.deepEqual((await world.story()).slice(-3), ['stop worker', 'stop api', 'stop db']);
      await until(one, 'all stopped', () => Object.values(statesOf(one)).every(state => state === 'stopped'));
      await world.untilSupervisors(0);
    });

    it('outranks a start that is under way in another client', async () => {
      world.service('db');
      const api = world.service('api', { dependsOn: ['db'], waits: true });
      world.service('worker', { dependsOn: ['api'] });
      const [one, other] = [world.stack({ keep: true }), world.stack()];
      const { outcome } = await startUntil(one, api);
      await other.stop();
      assert.equal((await outcome).kind, 'cancelled');
      assert.deepEqual(Object.values(statesOf(one)), ['stopped', 'stopped', 'stopped']);
      await world.untilSupervisors(0);
      assert.ok(!(await world.story()).includes('start worker'));
    });

    it('of one service leaves a start of the others to go on', async () => {
      const db = world.service('db', { waits: true });
      const worker = world.service('worker', { dependsOn: ['db'] });
      world.service('api', { dependsOn: ['db'] });
      const [one, other] = [world.stack(), world.stack()];
      const { outcome } = await startUntil(one, db);
      await other.stop([worker]);
      await go(db);
      assert.deepEqual(failuresOf(await outcome), [
        { id: 'worker', message: 'WORKER was stopped before it was healthy.', skipped: [] },
      ]);
      assert.deepEqual(statesOf(one), { db: 'healthy', worker: 'stopped', api: 'healthy' });
      assert.ok(!(await world.story()).includes('start worker'));
    });

    it('ends a start elsewhere that waits for its user', async () => {
      let asked = false;
      const postgres: PostgresProvider = {
        // As a question whether PostgreSQL may be fetched, which nobody answers.
        prepare: (_service, _plan, signal) => ((asked = true), untilAborted(signal)),
        isReusable: () => Promise.resolve(false),
        otherClients: () => Promise.resolve(0),
      };
      world.service('db', { changes: { kind: 'postgres' } });
      const [one, other] = [world.stack({ postgres }), world.stack()];
      const outcome = one.start();
      await until(one, 'the question', () => asked);
      await other.stop();
      assert.equal((await outcome).kind, 'cancelled');
    });

    it('of one service stops that one', async () => {
      world.service('db');
      const api = world.service('api', { dependsOn: ['db'] });
      const stack = world.stack();
      await stack.start();
      await stack.stop([api]);
      assert.deepEqual(statesOf(stack), { db: 'healthy', api: 'stopped' });
    });

    it('reaches a service that the configuration no longer has', async () => {
      world.service('old');
      const before = world.stack();
      await before.start();
      before.replacePlan({ ...before.plan, services: [] });
      assert.deepEqual(statesOf(before), { old: 'healthy' });
      await before.stop();
      await world.untilSupervisors(0);
    });

    it('ends what a killed supervisor left behind, and nobody brings it back', async () => {
      const api = world.service('api');
      const stack = world.stack();
      await stack.start();
      const child = (await identify(snapshotOf(stack, api).pid!))!;
      process.kill(snapshotOf(stack, api).supervisorPid!, 'SIGKILL');
      await untilState(stack, api, 'stopped');
      assert.ok(await isSame(child), 'the service runs on by itself');
      await stack.stop();
      assert.ok(!(await isSame(child)));
      assert.equal((await world.record(api))['wanted'], 'stopped');
    });

    it('leaves a database alone that others use', async () => {
      const postgres: PostgresProvider = {
        prepare: service => Promise.resolve(specOf(service)),
        isReusable: () => Promise.resolve(false),
        otherClients: () => Promise.resolve(2),
      };
      const db = world.service('db', { changes: { kind: 'postgres' } });
      world.service('api', { dependsOn: ['db'] });
      const stack = world.stack({ postgres });
      await stack.start();
      assert.deepEqual(await stack.stop(), { left: [{ id: db, reason: '2 other clients are connected to it' }] });
      assert.deepEqual(statesOf(stack), { db: 'healthy', api: 'stopped' });
    });
  });

  it('stops a database whose last client is just going', async () => {
    let clients = 3;
    const postgres: PostgresProvider = {
      prepare: service => Promise.resolve(specOf(service)),
      isReusable: () => Promise.resolve(false),
      otherClients: () => Promise.resolve(--clients),
    };
    world.service('db', { changes: { kind: 'postgres' } });
    const stack = world.stack({ postgres });
    await stack.start();
    assert.deepEqual(await stack.stop(), { left: [] });
    await world.untilSupervisors(0);
  });

  describe('restart', () => {
    it('of one service gives it another process on the same port, seen by every client', async () => {
      const db = world.service('db');
      const api = world.service('api', { dependsOn: ['db'] });
      const [one, other] = [world.stack(), world.stack()];
      await one.start();
      await other.connect();
      const before = snapshotOf(one, api);
      const { pid: untouched } = snapshotOf(one, db);
      assert.equal((await other.restart(api)).kind, 'started');
      const after = snapshotOf(other, api);
      assert.notEqual(after.pid, before.pid);
      assert.deepEqual({ port: after.port, restarts: after.restarts }, { port: before.port, restarts: 1 });
      await until(one, 'the same picture', () => snapshotOf(one, api).pid === after.pid);
      assert.equal(snapshotOf(one, db).pid, untouched);
    });

    it('of one that does not run starts it', async () => {
      const api = world.service('api');
      const stack = world.stack();
      assert.equal((await stack.restart(api)).kind, 'started');
    });

    it('brings back first what it depends on, if that was killed', async () => {
      const db = world.service('db');
      const api = world.service('api', { dependsOn: ['db'], changes: USES_DB });
      const stack = world.stack();
      await stack.start();
      process.kill(snapshotOf(stack, db).supervisorPid!, 'SIGKILL');
      await untilState(stack, db, 'stopped');
      assert.equal((await stack.restart(api)).kind, 'started');
      assert.deepEqual(statesOf(stack), { db: 'healthy', api: 'healthy' });
    });

    it('is done although its supervisor is killed over it', async () => {
      const api = world.service('api', { changes: { command: STUBBORN, stopTimeoutMs: 60_000 } });
      const stack = world.stack();
      await stack.start();
      const before = snapshotOf(stack, api);
      const outcome = stack.restart(api);
      await untilState(stack, api, 'stopping');
      process.kill(before.supervisorPid!, 'SIGKILL');
      assert.equal((await outcome).kind, 'started');
      assert.equal((await world.processesOf(api)).length, 1);
      assert.notEqual(snapshotOf(stack, api).pid, before.pid);
      await world.untilSupervisors(1);
    });

    it('is over when it is stopped meanwhile', async () => {
      const api = world.service('api', { changes: { command: STUBBORN, stopTimeoutMs: 60_000 } });
      const [one, other] = [world.stack(), world.stack()];
      await one.start();
      const { supervisorPid, pid } = snapshotOf(one, api);
      const outcome = one.restart(api);
      await untilState(one, api, 'stopping');
      const stopped = other.stop();
      await until(one, 'the stop', async () => (await world.record(api))['wanted'] === 'stopped');
      process.kill(supervisorPid!, 'SIGKILL');
      assert.match(failuresOf(await outcome)[0]!.message, /was stopped before it was healthy/);
      await stopped;
      await until(one, 'the end of it', async () => (await world.processesOf(api)).length === 0);
      assert.ok(pid !== undefined && snapshotOf(one, api).state.kind === 'stopped');
      await world.untilSupervisors(0);
    });

    it('takes the configuration as it is by now', async () => {
      const api = world.service('api');
      const stack = world.stack();
      await stack.start();
      const [service] = stack.plan.services;
      const env = { ...service!.env, ID: 'renamed' };
      stack.replacePlan({ ...stack.plan, services: [{ ...service!, env }] });
      assert.equal((await stack.restart(api)).kind, 'started');
      assert.ok((await world.story()).includes('ready renamed'));
    });

    it('of all goes by dependencies, and starts what did not run', async () => {
      world.service('db');
      const api = world.service('api', { dependsOn: ['db'] });
      const stack = world.stack();
      await stack.start();
      await stack.stop([api]);
      const before = (await world.story()).length;
      assert.equal((await stack.restartAll()).kind, 'started');
      assert.deepEqual((await world.story()).slice(before), [
        'stop db',
        'start db',
        'ready db',
        'start api',
        'ready api',
      ]);
    });

    it('reports a service that does not come up again', async () => {
      const api = world.service('api');
      const stack = world.stack();
      await stack.start();
      const [service] = stack.plan.services;
      stack.replacePlan({ ...stack.plan, services: [{ ...service!, command: ['no-such-program'] }] });
      assert.match(failuresOf(await stack.restart(api))[0]!.message, /Command not found/);
    });

    it('of a service that is not there says so', async () => {
      world.service('api');
      const stack = world.stack();
      await assert.rejects(stack.restart('nope' as ServiceId), UserError);
    });
  });

  describe('a second client', () => {
    it('sees what the first one started', async () => {
      world.service('db');
      world.service('api', { dependsOn: ['db'] });
      const [one, other] = [world.stack(), world.stack()];
      await one.start();
      await other.connect();
      await until(other, 'the same picture', () => isDeepStrictEqual(other.snapshot, one.snapshot));
    });

    it('is told of each service that comes later', async () => {
      const api = world.service('api');
      const [one, other] = [world.stack(), world.stack()];
      await other.connect();
      await one.start();
      await untilState(other, api, 'healthy');
    });
  });

  describe('an editor', () => {
    const GRACE = 'HELIX_PORTS_GRACE_MS';

    beforeEach(() => {
      process.env[GRACE] = '100';
      cleanup.add(() => delete process.env[GRACE]);
    });

    it('that says goodbye and does not come back ends the services in its terminals', async () => {
      const api = world.service('api');
      const [editor, witness] = [world.stack({ isEditor: true }), world.stack()];
      await editor.start();
      await editor.leave();
      editor.dispose();
      await world.untilSupervisors(0);
      assert.deepEqual(await world.processesOf(api), []);
      await witness.connect();
      assert.equal((await world.record(api))['wanted'], 'stopped', 'and nobody brings them back');
    });

    it('that is killed, or one of two that leaves, ends nothing', async () => {
      const api = world.service('api');
      const last = world.service('last');
      const [killed, leaving, staying] = [1, 2, 3].map(() => world.stack({ isEditor: true })) as [Stack, Stack, Stack];
      await killed.start();
      for (const one of [leaving, staying]) {
        await one.connect();
        await untilState(one, api, 'healthy');
      }
      const before = pidsOf(killed);
      killed.dispose();
      await leaving.leave();
      leaving.dispose();
      // That nothing happens is shown by something that comes later: the last one leaves only one of the two.
      await staying.stop([last]);
      assert.equal(snapshotOf(staying, api).pid, before[api]);
      assert.deepEqual(statesOf(staying), { api: 'healthy', last: 'stopped' });
    });
  });

  describe('a keeping client', () => {
    it('brings back a supervisor that was killed, and its orphan is ended', async () => {
      const api = world.service('api');
      const stack = world.stack({ keep: true });
      await stack.start();
      const before = snapshotOf(stack, api);
      const orphan = (await identify(before.pid!))!;
      process.kill(before.supervisorPid!, 'SIGKILL');
      await until(
        stack,
        'another supervisor',
        () => ![undefined, before.supervisorPid].includes(snapshotOf(stack, api).supervisorPid),
      );
      await untilState(stack, api, 'healthy');
      assert.equal(snapshotOf(stack, api).port, before.port);
      await untilGone(orphan);
      assert.equal((await world.processesOf(api)).length, 1);
      await world.untilSupervisors(1);
    });

    it('does so once though two of them keep, and though it is killed again on its way', async () => {
      const api = world.service('api');
      const [one, other] = [world.stack({ keep: true }), world.stack({ keep: true })];
      await one.start();
      await untilState(other, api, 'healthy');
      for (let round = 0; round < 3; round++) {
        const { supervisorPid } = snapshotOf(one, api);
        process.kill(supervisorPid!, 'SIGKILL');
        const another = (): boolean => ![undefined, supervisorPid].includes(snapshotOf(one, api).supervisorPid);
        await until(one, 'another supervisor', another);
      }
      await untilState(one, api, 'healthy');
      await until(other, 'the same picture', () => snapshotOf(other, api).pid === snapshotOf(one, api).pid);
      await until(one, 'one process', async () => (await world.processesOf(api)).length === 1);
      await world.untilSupervisors(1);
    });

    it('finds on connecting what was killed while nobody looked', async () => {
      const api = world.service('api');
      const [first, keeper] = [world.stack(), world.stack({ keep: true })];
      await first.start();
      const supervisor = await supervisorOf(first, api);
      process.kill(supervisor.pid, 'SIGKILL');
      await untilGone(supervisor);
      await untilState(first, api, 'stopped');
      await keeper.connect();
      await untilState(keeper, api, 'healthy');
    });

    // That nothing happens is shown by something that would have happened later and did.
    async function staysStopped(stack: Stack, id: ServiceId, witness: ServiceId): Promise<void> {
      const { supervisorPid } = snapshotOf(stack, witness);
      process.kill(supervisorPid!, 'SIGKILL');
      const another = (): boolean => ![undefined, supervisorPid].includes(snapshotOf(stack, witness).supervisorPid);
      await until(stack, 'the other service to be brought back', another);
      await untilState(stack, witness, 'healthy');
      assert.equal(snapshotOf(stack, id).state.kind, 'stopped');
      assert.deepEqual(await world.processesOf(id), []);
      assert.equal((await world.record(id))['wanted'], 'stopped');
    }

    it('leaves a service stopped whose terminal got Ctrl-C', async () => {
      const api = world.service('api');
      const witness = world.service('witness');
      const stack = world.stack({ keep: true });
      await stack.start();
      const supervisor = await supervisorOf(stack, api);
      process.kill(supervisor.pid, 'SIGINT');
      await untilState(stack, api, 'stopped');
      assert.ok(await isSame(supervisor), 'the terminal stays');
      await staysStopped(stack, api, witness);
      process.kill(supervisor.pid, 'SIGINT');
      await untilGone(supervisor);
    });

    it('leaves a service stopped whose terminal was closed', async () => {
      const api = world.service('api');
      const witness = world.service('witness');
      const stack = world.stack({ keep: true });
      await stack.start();
      const supervisor = await supervisorOf(stack, api);
      process.kill(supervisor.pid, 'SIGHUP');
      await untilGone(supervisor);
      await untilState(stack, api, 'stopped');
      await staysStopped(stack, api, witness);
      assert.equal((await stack.start()).kind, 'started', 'until it is started again');
    });

    it('ends a service whose supervisor was killed while it stopped it', async () => {
      const api = world.service('api', { changes: { command: STUBBORN, stopTimeoutMs: 60_000 } });
      const stack = world.stack({ keep: true });
      await stack.start();
      const supervisor = await supervisorOf(stack, api);
      process.kill(supervisor.pid, 'SIGINT');
      await untilState(stack, api, 'stopping');
      process.kill(supervisor.pid, 'SIGKILL');
      await untilState(stack, api, 'stopped');
      await until(stack, 'the end of it', async () => (await world.processesOf(api)).length === 0);
      await until(stack, 'its record', async () => (await world.record(api))['child'] === undefined);
      assert.equal((await world.record(api))['wanted'], 'stopped');
      await world.untilSupervisors(0);
    });

    it('does not bring back what is stopped while it is on its way back', async () => {
      const api = world.service('api', { waits: true });
      await go(api);
      const [keeper, other] = [world.stack({ keep: true }), world.stack()];
      await keeper.start();
      await rm(join(world.workspace, `go-${api}`));
      const { supervisorPid } = snapshotOf(keeper, api);
      process.kill(supervisorPid!, 'SIGKILL');
      await until(
        keeper,
        'another process',
        () => ![undefined, supervisorPid].includes(snapshotOf(keeper, api).supervisorPid),
      );
      await until(keeper, 'another process', () => snapshotOf(keeper, api).pid !== undefined);
      await other.stop();
      await world.untilSupervisors(0);
      assert.deepEqual(await world.processesOf(api), []);
    });

    it('starts a server of our own when one that was reused goes away', async () => {
      const band = await freeBand(1);
      const stranger = await cleanup.stranger(band.from, '{"status":"ok"}');
      const db = world.service('db', { changes: { kind: 'postgres', port: { kind: 'fixed', port: band.from } } });
      const postgres: PostgresProvider = {
        prepare: service => {
          const { command, ...external } = specOf(service);
          return Promise.resolve(stranger.listening ? external : { ...external, command: command! });
        },
        isReusable: () => Promise.resolve(false),
        otherClients: () => Promise.resolve(0),
      };
      const stack = world.stack({ keep: true, postgres });
      await stack.start();
      assert.equal(snapshotOf(stack, db).external, true);
      await assert.rejects(stack.restart(db), UserError, 'it is not ours to restart');
      stranger.close();
      stranger.closeAllConnections();
      await until(
        stack,
        'our own',
        () => !snapshotOf(stack, db).external && snapshotOf(stack, db).state.kind === 'healthy',
      );
      assert.equal(snapshotOf(stack, db).port, band.from);
    });
  });
});

/** A service as its supervisor gets it. */
function specOf({
  kind: _kind,
  dependsOn: _dependsOn,
  openPath: _openPath,
  ...rest
}: Stack['plan']['services'][number]): RunSpec {
  return rest;
}
