import { strict as assert } from 'node:assert';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { CancelledError } from '../../../src/base/errors.ts';
import { canBind } from '../../../src/ports/probe.ts';
import {
  descendants,
  endProcessGroup,
  type EndStep,
  identify,
  isSame,
  parsePs,
  parseWindows,
  type ProcessIdentity,
  processesWithEnvironment,
} from '../../../src/run/processes.ts';
import { freeBand } from './harness.ts';

const MARKER = 'HELIX_TEST_RUN';
const FOREVER = 'setInterval(() => {}, 1000);';
const DEAF = `for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => {}); ${FOREVER}`;
const GENTLE: EndStep = { signal: 'SIGINT', waitMs: 20_000 };
const KILL: EndStep = { signal: 'SIGKILL', waitMs: 20_000 };

/** A Node that runs `script` after printing "up", with the lines it prints. */
interface Started {
  readonly identity: ProcessIdentity;
  readonly child: ChildProcess;
  line(): Promise<string>;
  /** All that is printed from now to its end. */
  rest(): Promise<string>;
}

describe('processes', () => {
  const started = new Set<ProcessIdentity>();

  afterEach(async () => {
    for (const identity of started) if (await isSame(identity)) process.kill(identity.pid, 'SIGKILL');
    for (const identity of started) while (await isSame(identity)) await new Promise(setImmediate);
    started.clear();
  });

  async function start(script: string, env: Record<string, string> = {}): Promise<Started> {
    const child = spawn(process.execPath, ['-e', `${script}; console.log('up')`], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const line = async (): Promise<string> => {
      while (!text.includes('\n')) await once(child.stdout, 'data');
      const [first = ''] = text.split('\n', 1);
      text = text.slice(first.length + 1);
      return first;
    };
    const rest = async (): Promise<string> => {
      if (!child.stdout.closed) await once(child.stdout, 'close');
      return text;
    };
    const identity = await track(child.pid!);
    while ((await line()) !== 'up');
    return { child, identity, line, rest };
  }

  async function track(pid: number): Promise<ProcessIdentity> {
    const identity = await identify(pid);
    assert(identity, `pid ${pid} runs`);
    started.add(identity);
    return identity;
  }

  /** A script that starts another one, has its pid printed when it is up, and goes on with `rest`. */
  const parentOf = (script: string, options: string, rest = FOREVER): string => `{
    const child = require('node:child_process').spawn(
      process.execPath, ['-e', ${JSON.stringify(`${script}; console.log('child ' + process.pid)`)}], ${options});
    child.stdout.on('data', data => process.stdout.write(data));
    ${rest}
  }`;
  const UNTIL_CHILD_IS_UP = `child.stdout.once('data', () => process.exit())`;
  const PIPED = `{ stdio: ['ignore', 'pipe', 'inherit'] }`;
  const DETACHED = `{ stdio: ['ignore', 'pipe', 'inherit'], detached: true }`;
  const WITHOUT_MARKER = `{ stdio: ['ignore', 'pipe', 'inherit'], detached: true, env: {} }`;

  async function childOf(parent: Started): Promise<ProcessIdentity> {
    return track(Number(/^child (\d+)$/.exec(await parent.line())?.[1]));
  }

  describe('identity', () => {
    it('is the same twice, and another with another start time', async () => {
      const own = await identify(process.pid);
      assert(own);
      assert.deepEqual(await identify(process.pid), own);
      assert.equal(await isSame(own), true);
      assert.equal(await isSame({ ...own, startedAt: 'earlier' }), false);
    });

    it('is none for a pid that nobody has', async () => {
      const { child, identity } = await start('');
      if (child.exitCode === null) await once(child, 'exit');
      assert.equal(await identify(identity.pid), undefined);
      assert.equal(await isSame(identity), false);
    });

    it('is none for a zombie, although a signal still reaches its pid', async function () {
      if (process.platform === 'win32') this.skip();
      // `exec` leaves the shell's child with a parent that never asks for its end. The child ends after that, because
      // the shell would ask.
      const child = 'until ps -o comm= -p \\$PPID | grep -q sleep; do :; done';
      const script = `sh -c "${child}" & echo $!; exec sleep 600`;
      const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
      await track(parent.pid!);
      const [pid] = (await once(parent.stdout, 'data')).map(Number);
      while (await identify(pid!)) await new Promise(setImmediate);
      assert.equal(process.kill(pid!, 0), true);
    });

    it('lasts as long as the last thread, and so as long as the port is held', async function () {
      if (process.platform !== 'linux') this.skip();
      const { from: port } = await freeBand(1);
      // The first thread is gone before the others in every fourth end or so.
      for (let round = 0; round < 25; round++) {
        const listener = await start(
          `require('node:net').createServer().listen(${port}, '127.0.0.1', () => console.log('listens'))`,
        );
        assert.equal(await listener.line(), 'listens');
        process.kill(listener.identity.pid, 'SIGINT');
        while (await isSame(listener.identity)) await new Promise(setImmediate);
        assert.ok(await canBind(port), `round ${round}`);
      }
    });
  });

  it('finds descendants, near and far', async () => {
    const parent = await start(parentOf(parentOf(FOREVER, PIPED), PIPED));
    const near = await childOf(parent);
    const far = await childOf(parent);
    const found = await descendants(parent.identity.pid);
    assert.deepEqual(new Set(found), new Set([near.pid, far.pid]));
  });

  it('finds processes by their environment, and by the whole value only', async function () {
    if (process.platform !== 'linux') this.skip();
    const value = `test:${process.pid}`;
    const carrier = await start(FOREVER, { [MARKER]: value });
    await start(FOREVER, { [MARKER]: `${value}0`, OTHER: `${MARKER}=${value}` });
    assert.deepEqual(await processesWithEnvironment(MARKER, value), [carrier.identity.pid]);
    assert.deepEqual(await processesWithEnvironment('TEST_RUN', value), []);
  });

  describe('ending a service', () => {
    const gone = async (...identities: ProcessIdentity[]): Promise<void> => {
      for (const identity of identities) assert.equal(await isSame(identity), false, `pid ${identity.pid} is gone`);
    };

    it('is gentle as long as that is enough', async () => {
      const service = await start(`process.on('SIGINT', () => process.exit(7)); ${FOREVER}`);
      const exit = once(service.child, 'exit');
      assert.equal(await endProcessGroup({ leader: service.identity, steps: [GENTLE, KILL] }), 'ended');
      assert.deepEqual(await exit, [7, null]);
    });

    it('escalates to what no process can ignore', async () => {
      const service = await start(DEAF);
      const exit = once(service.child, 'exit');
      const steps: EndStep[] = [{ signal: 'SIGINT', waitMs: 50 }, { signal: 'SIGTERM', waitMs: 50 }, KILL];
      assert.equal(await endProcessGroup({ leader: service.identity, steps }), 'ended');
      assert.deepEqual(await exit, [null, 'SIGKILL']);
    });

    it('says when something survived the last step', async () => {
      const service = await start(DEAF);
      const steps: EndStep[] = [{ signal: 'SIGTERM', waitMs: 50 }];
      assert.equal(await endProcessGroup({ leader: service.identity, steps }), 'survived');
      assert.equal(await isSame(service.identity), true);
    });

    it('ends the group and the children that left it, each told once', async () => {
      const counting = (ms: number): string => `let told = 0; process.on('SIGINT', () => {
        console.log('told ' + ++told);
        setTimeout(() => process.exit(), ${ms});
      }); ${FOREVER}`;
      const children = parentOf(counting(100), PIPED, '') + parentOf(counting(100), DETACHED, '');
      const service = await start(children + counting(500));
      const one = await childOf(service);
      const other = await childOf(service);
      assert.equal(await endProcessGroup({ leader: service.identity, steps: [GENTLE, KILL] }), 'ended');
      await gone(service.identity, one, other);
      assert.equal(await service.rest(), 'told 1\n'.repeat(3));
    });

    it('ends what outlives its leader', async () => {
      const service = await start(parentOf(DEAF, PIPED));
      const orphan = await childOf(service);
      const steps: EndStep[] = [{ signal: 'SIGINT', waitMs: 50 }, KILL];
      assert.equal(await endProcessGroup({ leader: service.identity, steps }), 'ended');
      await gone(service.identity, orphan);
    });

    it('ends carriers of the marker that no parent leads to', async function () {
      if (process.platform !== 'linux') this.skip();
      const value = `carriers:${process.pid}`;
      const service = await start(parentOf(FOREVER, DETACHED, UNTIL_CHILD_IS_UP), {
        [MARKER]: value,
      });
      const orphan = await childOf(service);
      await once(service.child, 'exit');
      const marker = { name: MARKER, value };
      assert.equal(await endProcessGroup({ leader: service.identity, marker, steps: [KILL] }), 'ended');
      await gone(orphan);
    });

    it('takes the group of a vanished leader for its own only when the leader was its child', async () => {
      const service = await start(parentOf(FOREVER, PIPED, UNTIL_CHILD_IS_UP));
      const orphan = await childOf(service);
      await once(service.child, 'exit');
      assert.equal(await endProcessGroup({ leader: service.identity, steps: [KILL] }), 'ended');
      assert.equal(await isSame(orphan), true);
      assert.equal(await endProcessGroup({ leader: service.identity, steps: [KILL], isOwnChild: true }), 'ended');
      await gone(orphan);
    });

    it('leaves alone who has got the pid since', async () => {
      const stranger = await start(parentOf(FOREVER, PIPED));
      const child = await childOf(stranger);
      const leader = { pid: stranger.identity.pid, startedAt: 'yesterday' };
      assert.equal(await endProcessGroup({ leader, steps: [KILL], isOwnChild: true }), 'ended');
      assert.equal(await isSame(stranger.identity), true);
      assert.equal(await isSame(child), true);
    });

    it('ends a process that leads no group, and not the group it is in', async function () {
      if (process.platform === 'win32') this.skip();
      const parent = await start(parentOf(parentOf(FOREVER, WITHOUT_MARKER), PIPED));
      const child = await childOf(parent);
      const grandchild = await childOf(parent);
      assert.equal(await endProcessGroup({ leader: child, steps: [KILL], isOwnChild: true }), 'ended');
      await gone(child, grandchild);
      assert.equal(await isSame(parent.identity), true);
    });

    it('never ends itself', async () => {
      // Not these tests' own process: its children are its descendants, whoever started them.
      const itself = spawn(process.execPath, [join(__dirname, 'self-ender.cjs')], {
        detached: true,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(itself, 'exit') as Promise<[code: number | null, signal: string | null]>;
      const [outcome, [code, signal]] = await Promise.all([textOf(itself.stdout), ended]);
      assert.deepEqual({ outcome, code, signal }, { outcome: 'ended', code: 0, signal: null });
    });

    it('is cancelled between two looks', async () => {
      const service = await start(DEAF);
      const abort = new AbortController();
      const ending = endProcessGroup({ leader: service.identity, steps: [GENTLE, KILL], signal: abort.signal });
      abort.abort();
      await assert.rejects(ending, CancelledError);
      assert.equal(await isSame(service.identity), true);
    });
  });

  describe('what other systems say', () => {
    it('is read from ps', async function () {
      if (process.platform === 'win32') this.skip();
      const columns = ['pid=', 'ppid=', 'pgid=', 'stat=', 'lstart='].flatMap(column => ['-o', column]);
      const { stdout } = await promisify(execFile)('ps', ['-ax', ...columns], { env: { ...process.env, LC_ALL: 'C' } });
      const own = parsePs(stdout).find(row => row.pid === process.pid);
      assert.equal(own?.ppid, process.ppid);
      assert.equal(own?.zombie, false);
      assert.match(own?.startedAt ?? '', /^\w+ \w+ +\d+ \d\d:\d\d:\d\d \d{4}$/);
      assert.deepEqual(parsePs('  812   811   800 Z+   Tue Nov 24 02:37:00 2026\n'), [
        { pid: 812, ppid: 811, pgid: 800, zombie: true, startedAt: 'Tue Nov 24 02:37:00 2026' },
      ]);
    });

    it('is read from PowerShell', () => {
      assert.deepEqual(parseWindows('4 0 638997990200000000\r\n812 4 638997990219999999\r\n'), [
        { pid: 4, ppid: 0, pgid: 0, zombie: false, startedAt: '638997990200000000' },
        { pid: 812, ppid: 4, pgid: 0, zombie: false, startedAt: '638997990219999999' },
      ]);
    });
  });
});
