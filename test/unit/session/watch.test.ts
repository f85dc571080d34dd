import assert from 'node:assert/strict';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import type { Plan } from '../../../src/model/plan.ts';
import type { ServiceId, ServiceState, StateKind } from '../../../src/model/service.ts';
import { filterOf } from '../../../src/session/watch-files.ts';
import { type WatchedRestart, WatchRestarts } from '../../../src/session/watch-restarts.ts';
import { waitFor } from '../../support/wait.ts';
import { FakeClock } from '../browser/fake-page.ts';
import { Cleanup } from '../run/harness.ts';
import { snapshotOf, until, untilState, World } from './harness.ts';

const GLOBS = ['src/**/*.py', '!src/tests/**'];

/** Healthy, and with a stream of events that goes on for as long as it runs. */
const EVENTS = `
  require('node:http').createServer((request, response) => {
    if (request.url !== '/events') return response.end('{"status":"ok"}');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: ' + process.pid + '\\n\\n');
  }).listen(Number(process.env.PORT), '127.0.0.1');
`;

describe('which files count', () => {
  const { isMatch, mayHold } = filterOf([...GLOBS, 'tools/{a,b}.json', 'main.py', '.hidden/x.py']);

  it('those that a glob names and none leaves out', () => {
    for (const path of ['src/a.py', 'src/api/routers/jobs.py', 'tools/b.json', 'main.py', '.hidden/x.py'])
      assert.ok(isMatch(path), path);
    for (const path of ['a.py', 'src/a.js', 'src/tests/a.py', 'tools/c.json', 'src/.#a.py', 'src/main.py/x'])
      assert.ok(!isMatch(path), path);
  });

  it('none of what tools put there, unless it is named', () => {
    for (const path of ['src/node_modules/x/a.py', 'src/__pycache__/a.py', 'src/.venv/a.py']) {
      assert.ok(!isMatch(path), path);
      assert.ok(!mayHold(dirname(path)), path);
    }
    assert.ok(filterOf(['node_modules/mine/*.js']).isMatch('node_modules/mine/a.js'));
    assert.ok(filterOf(['node_modules/mine/*.js']).mayHold('node_modules/mine'));
  });

  it('and only folders on the way to one are looked into', () => {
    for (const path of ['src', 'src/api', 'tools', '.hidden']) assert.ok(mayHold(path), path);
    for (const path of ['docs', 'srcs', 'data/src']) assert.ok(!mayHold(path), path);
    assert.ok(filterOf(['**/*.py']).mayHold('anything/at/all'));
    assert.ok(filterOf(['./src/*.py']).isMatch('src/a.py'));
    assert.ok(filterOf(['./src/*.py']).mayHold('src'));
  });
});

describe('saved files', function () {
  this.timeout(300_000);
  const cleanup = new Cleanup();
  let world: World;
  let clock: FakeClock;

  beforeEach(async () => {
    world = await World.make(cleanup);
    clock = new FakeClock();
  });

  afterEach(() => cleanup.run());

  async function save(path: string): Promise<void> {
    const file = join(world.workspace, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, String(Math.random()));
  }

  const untilLogged = (pattern: RegExp, times = 1): Promise<unknown> =>
    waitFor(`${times} × ${pattern}`, () => world.logged.filter(line => pattern.test(line)).length >= times, {
      interval: 10,
      seen: () => world.logged,
    });
  const untilWatched = (times = 1): Promise<unknown> => untilLogged(/ is restarted when /, times);

  interface Counting {
    readonly watching: WatchRestarts;
    readonly begun: ServiceId[];
    readonly told: WatchedRestart[];
    /** Ends the restarts that are under way. */
    readonly finish: () => void;
    readonly untilBegun: (count: number) => Promise<unknown>;
  }

  /** A client whose time the test passes, and whose restarts are only noted and last until the test ends them. */
  function counting(state: StateKind = 'healthy'): Counting {
    const stack = world.stack();
    const snapshot = stack.snapshot;
    const begun: ServiceId[] = [];
    const told: WatchedRestart[] = [];
    const ends: (() => void)[] = [];
    const log = (line: string): void => void world.logged.push(line);
    const watching = new WatchRestarts({
      dir: world.dir,
      clock,
      logger: { debug: log, info: log, warn: log, error: log },
      snapshotOf: id => ({ ...snapshotOf(stack, id), state: { kind: state } as ServiceState }),
      roll: id => {
        begun.push(id);
        return new Promise(resolve => ends.push(() => resolve({ outcome: { kind: 'started', snapshot }, notes: [] })));
      },
    });
    cleanup.add(() => watching.dispose());
    watching.onRestarted(restart => told.push(restart));
    watching.follow(world.plan());
    const untilBegun = async (count: number): Promise<unknown> => {
      const passed = async (): Promise<boolean> => (await clock.pass(300), begun.length >= count);
      return waitFor(`restart ${count}`, passed, { interval: 10, seen: () => world.logged });
    };
    return { watching, begun, told, untilBegun, finish: () => ends.splice(0).forEach(end => end()) };
  }

  it('together are one restart, and what is saved during one is one more', async () => {
    const api = world.service('api', { changes: { watch: GLOBS } });
    await save('src/there.py');
    const { begun, told, finish, untilBegun } = counting();
    await untilWatched();
    await save('src/new/folder/a.py');
    await untilLogged(/API: src\/new\/folder\/a\.py changed/);
    await clock.pass(299);
    await rm(join(world.workspace, 'src/there.py'));
    await untilLogged(/API: src\/there\.py changed/);
    await clock.pass(299);
    assert.deepEqual(begun, [], 'not before a while after the last one');
    await untilBegun(1);
    for (const path of ['src/b.py', 'src/c.py']) {
      // As editors do that write beside and rename.
      await save(`${path}.tmp`);
      await rename(join(world.workspace, `${path}.tmp`), join(world.workspace, path));
      await untilLogged(new RegExp(`API: ${path} changed`));
      await clock.pass(300);
    }
    assert.deepEqual(begun, [api], 'one at a time');
    finish();
    await waitFor('the first to be told', () => told.length === 1);
    await untilBegun(2);
    finish();
    await waitFor('the second to be told', () => told.length === 2);
    assert.equal(told[0]!.label, 'API');
    assert.equal(told[0]!.because, 'src/new/folder/a.py and 1 more');
    // Some systems tell of one change twice, and the second time late.
    assert.match(told[1]!.because, /^src\/\S+\.py and [123] more$/);
  });

  it('that no glob names, or one leaves out, are nothing', async () => {
    world.service('api', { changes: { watch: GLOBS } });
    const { begun, untilBegun } = counting();
    await untilWatched();
    for (const path of ['a.py', 'src/a.txt', 'src/tests/a.py', 'src/node_modules/a.py', 'docs/src/a.py'])
      await save(path);
    await save('src/a.py');
    await untilBegun(1);
    assert.equal(begun.length, 1);
    assert.deepEqual([...new Set(world.logged.filter(line => line.startsWith('API: ')))], ['API: src/a.py changed']);
  });

  it('restart each service by its own globs, and only what runs or has failed', async () => {
    const api = world.service('api', { changes: { watch: ['src/api/*', 'shared/*'] } });
    const worker = world.service('worker', { changes: { watch: ['src/worker/*', 'shared/*'] } });
    const failed = counting('failed');
    await untilWatched(2);
    await save('src/worker/a.py');
    await failed.untilBegun(1);
    assert.deepEqual(failed.begun, [worker]);
    failed.finish();
    await save('shared/a.py');
    await failed.untilBegun(3);
    assert.deepEqual(new Set(failed.begun), new Set([api, worker]));
    failed.watching.dispose();
    for (const state of ['stopped', 'stopping'] as const) {
      world.logged.length = 0;
      const idle = counting(state);
      await untilWatched(2);
      await save('shared/a.py');
      await untilLogged(/API: shared\/a\.py changed/);
      await clock.pass(300);
      assert.deepEqual(idle.begun, [], state);
      idle.watching.dispose();
    }
  });

  it('are watched by one client at a time, and by the next once that one is gone', async () => {
    world.service('api', { changes: { watch: GLOBS } });
    const first = counting();
    await untilWatched();
    const second = counting();
    await save('src/a.py');
    await first.untilBegun(1);
    assert.deepEqual(second.begun, []);
    first.watching.dispose();
    await untilWatched(2);
    await save('src/b.py');
    await second.untilBegun(1);
    assert.equal(first.begun.length, 1);
  });

  it('are followed as the configuration changes', async () => {
    const api = world.service('api');
    const { watching, begun, untilBegun } = counting();
    const planWith = (watch: readonly string[]): Plan => {
      const plan = world.plan();
      return { ...plan, services: plan.services.map(one => ({ ...one, watch })) };
    };
    watching.follow(planWith(['one/*']));
    await untilWatched();
    watching.follow(planWith(['two/*']));
    await untilWatched(2);
    await save('one/a');
    await save('two/a');
    await untilBegun(1);
    assert.deepEqual(begun, [api]);
    assert.ok(!world.logged.includes('API: one/a changed'));
    watching.follow(planWith([]));
    await save('two/b');
    await clock.pass(300);
    assert.equal(begun.length, 1);
  });

  it('roll a service that can have that, restart plainly one that cannot, and leave alone one that was stopped', async () => {
    const api = world.service('api', { changes: { watch: ['src/api/*'] } });
    const worker = world.service('worker', {
      changes: {
        port: { kind: 'none' },
        env: {},
        readiness: { kind: 'log', pattern: 'up' },
        command: [process.execPath, '-e', 'console.log("up"); setInterval(() => 0, 1000)'],
        watch: ['src/worker/*'],
      },
    });
    const [stack, other] = [world.stack({ keep: true }), world.stack({ keep: true })];
    const told: WatchedRestart[] = [];
    for (const one of [stack, other]) one.onWatchedRestart(restart => told.push(restart));
    const outcome = await stack.start();
    assert.equal(outcome.kind, 'started', JSON.stringify(outcome));
    await other.connect();
    await untilWatched(2);
    const before = new Map([api, worker].map(id => [id, snapshotOf(stack, id)]));
    await save('src/api/main.py');
    await until(stack, 'the API beside itself', () => snapshotOf(stack, api).port !== before.get(api)!.port);
    await save('src/worker/main.py');
    await until(
      stack,
      'another worker',
      () => ![undefined, before.get(worker)!.pid].includes(snapshotOf(stack, worker).pid),
    );
    await untilState(stack, worker, 'healthy');
    await waitFor('both to be told', () => told.length >= 2, { seen: () => told });
    assert.deepEqual([...new Set(told.map(({ outcome }) => outcome.kind))], ['started']);
    assert.deepEqual(told.filter(one => one.label === 'API')[0]!.notes, []);
    assert.match(told.filter(one => one.label === 'WORKER')[0]!.notes.join(), /plainly: WORKER has no port/);
    await stack.stop([worker]);
    const seen = world.logged.length;
    await save('src/worker/main.py');
    await save('src/api/main.py');
    await waitFor('the API to follow', () => world.logged.slice(seen).some(line => /restarting API/.test(line)));
    assert.equal(snapshotOf(stack, worker).state.kind, 'stopped');
  });

  it('are served at once, though the process before still has a stream open', async () => {
    const command = [process.execPath, '-e', EVENTS];
    const api = world.service('api', { changes: { command, watch: GLOBS } });
    // Longer than anything here is waited for.
    world.front({ drainMs: 600_000 });
    const stack = world.stack({ keep: true });
    const told: WatchedRestart[] = [];
    stack.onWatchedRestart(restart => told.push(restart));
    const outcome = await stack.start();
    assert.equal(outcome.kind, 'started', JSON.stringify(outcome));
    await untilWatched();
    const { port } = snapshotOf(stack, world.proxy);
    /** A page that listens to the present process; settles once it has heard of it. */
    const listen = (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        const request = get({ port, host: '127.0.0.1', path: '/events', agent: false }, response => {
          response.on('error', () => undefined).once('data', () => resolve(response));
        });
        request.on('error', reject);
        cleanup.add(() => request.destroy());
      });
    const first = snapshotOf(stack, api);
    await listen();
    await save('src/a.py');
    await until(stack, 'the first switch', () => snapshotOf(stack, api).draining?.pid === first.pid);
    await waitFor('it to be told', () => told.length > 0);
    const second = snapshotOf(stack, api);
    const stream = await listen();
    await save('src/b.py');
    await until(stack, 'the second switch', () => snapshotOf(stack, api).draining?.pid === second.pid);
    await waitFor('it to be told', () => told.length > 1);
    assert.ok(!stream.closed, 'of the version before nothing is cut off');
    assert.deepEqual([...new Set(told.map(({ outcome }) => outcome.kind))], ['started']);
    assert.equal(told.at(-1)!.because, 'src/b.py');
  });
});
