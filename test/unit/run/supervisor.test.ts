import { strict as assert } from 'node:assert';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { type Clock, systemClock } from '../../../src/base/async.ts';
import { DEFAULT_RESTART } from '../../../src/model/restart-policy.ts';
import { allocateFixed } from '../../../src/ports/allocate.ts';
import { leasePort } from '../../../src/ports/lease.ts';
import { canBind } from '../../../src/ports/probe.ts';
import { identify, type ProcessIdentity } from '../../../src/run/processes.ts';
import { RUN_MARKER } from '../../../src/run/record.ts';
import type { Supervisor } from '../../../src/run/supervisor.ts';
import { waitFor } from '../../support/wait.ts';
import { alive, Bench, Cleanup, close, portsOf, SERVICES, untilGone } from './harness.ts';

const { http, idle } = SERVICES;

/** Waits for a file before it listens, so that a test can be first. */
const AFTER_GO = `
  const fs = require('node:fs');
  process.on('uncaughtException', error => { console.error(String(error)); process.exit(1); });
  const go = () => fs.existsSync(process.env.DIR + '/go') ? listen() : setTimeout(go, 10);
  go();
  function listen() { ${http} }
`;

async function identityOf(pid: number | undefined): Promise<ProcessIdentity> {
  const identity = await identify(pid ?? 0);
  assert.ok(identity, `pid ${pid} runs`);
  return identity;
}

const fetchText = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    get(url, response => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });

function problemOf({ snapshot }: Supervisor): { message: string; lastLines: readonly string[] } {
  const { state } = snapshot;
  assert.equal(state.kind, 'failed');
  return state.problem;
}

const until = (what: string, probe: () => boolean | Promise<boolean>): Promise<unknown> =>
  waitFor(what, probe, { interval: 10 });

describe('supervisor', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let bench: Bench;

  beforeEach(async () => {
    bench = await Bench.make(cleanup);
  });

  afterEach(() => cleanup.run());

  describe('becomes healthy', () => {
    it('by HTTP, and says on which port of the band, under which URL and pid', async () => {
      const supervisor = await bench.run(bench.spec());
      const { port, readyPort, url, pid, restarts, note } = supervisor.snapshot;
      assert.ok(portsOf(bench.band).some(one => one === port));
      assert.deepEqual(
        { readyPort, url, restarts, note },
        { readyPort: port, url: `http://127.0.0.1:${port}`, restarts: 0, note: undefined },
      );
      assert.deepEqual(JSON.parse(await fetchText(url!)), { status: 'ok', pid });
    });

    it('by a TCP connection', async () => {
      const script = `require('node:net').createServer().listen(Number(process.env.PORT), '127.0.0.1');`;
      const supervisor = await bench.run(bench.spec({ script, readiness: { kind: 'tcp' } }));
      assert.equal(supervisor.snapshot.readyPort, supervisor.snapshot.port);
    });

    it('by a line of output, even one cut in two, with colours', async () => {
      const script = `process.stdout.write('\\x1b[32mrea'); setTimeout(() => console.log('dy\\x1b[0m now'), 30); setInterval(() => {}, 1000);`;
      const readiness = { kind: 'log', pattern: '^ready now$' } as const;
      const supervisor = await bench.run(bench.spec({ script, readiness, port: { kind: 'none' } }));
      const { port, url } = supervisor.snapshot;
      assert.deepEqual({ port, url }, { port: undefined, url: undefined });
    });

    it('by having run for a while', async () => {
      const spec = bench.spec({ script: idle, readiness: { kind: 'alive', seconds: 0.2 }, port: { kind: 'none' } });
      const supervisor = await bench.run(spec);
      assert.deepEqual(bench.states, ['starting', 'healthy']);
      assert.equal(supervisor.snapshot.restarts, 0);
    });

    it('without a URL where nobody listens on the port that it leased', async () => {
      const supervisor = await bench.run(bench.spec({ script: idle, readiness: { kind: 'alive', seconds: 0.1 } }));
      const { url, readyPort, port } = supervisor.snapshot;
      assert.deepEqual({ url, readyPort }, { url: undefined, readyPort: port });
    });

    it('with the port held by a lease as long as the service runs, and no longer', async () => {
      const supervisor = await bench.run(bench.spec());
      const port = portsOf(bench.band).find(one => one === supervisor.snapshot.port)!;
      const owner = { pid: process.pid, user: 'other', workspace: '/', service: 'other' };
      assert.equal(await leasePort(port, owner), undefined);
      await supervisor.stop();
      const lease = await leasePort(port, owner);
      assert.ok(lease);
      await lease.release();
    });
  });

  describe('says what is wrong', () => {
    it('with a command that does not exist', async () => {
      const supervisor = await bench.run(bench.spec({ command: ['no-such-program'] }), 'failed');
      assert.match(problemOf(supervisor).message, /^Command not found: no-such-program \(in .*\)\. Install it/);
    });

    it('with a working directory that does not exist, or is a file', async () => {
      const missing = await bench.run(bench.spec({ cwd: bench.file('away') }), 'failed');
      assert.match(problemOf(missing).message, /working directory .*away does not exist/);
      await writeFile(bench.file('file'), '');
      const file = await bench.run(bench.spec({ cwd: bench.file('file') }), 'failed');
      assert.match(problemOf(file).message, /working directory .*file is not a folder/);
    });

    it('with a file that may not be executed', async () => {
      await writeFile(bench.file('data'), 'x', { mode: 0o600 });
      const supervisor = await bench.run(bench.spec({ command: [bench.file('data')] }), 'failed');
      assert.match(problemOf(supervisor).message, /data may not be executed/);
    });

    it('with a service that never listens', async () => {
      const supervisor = await bench.run(bench.spec({ script: idle, readyTimeoutMs: 400 }), 'failed');
      const { port } = supervisor.snapshot;
      assert.match(problemOf(supervisor).message, new RegExp(`^API never listened on ${port} within`));
      assert.deepEqual(await bench.processes(), []);
    });

    it('with a service that listens elsewhere: both ports are named', async () => {
      const [assigned, other] = portsOf(bench.band);
      const spec = bench.spec({
        port: { kind: 'band', band: { from: assigned!, to: assigned! } },
        env: { PORT: String(other) },
        readyTimeoutMs: 1_500,
      });
      const supervisor = await bench.run(spec, 'failed');
      assert.match(
        problemOf(supervisor).message,
        new RegExp(`^API was assigned ${assigned} but listens on ${other}\\.`),
      );
    });

    it('with a service that listens at another address, as one does that takes localhost for ::1', async function () {
      const probe = await cleanup.stranger(portsOf(bench.band)[0]!, '', '::1').catch(() => this.skip());
      await close(probe);
      const script = "require('http').createServer().listen(+process.env.PORT, '::1')";
      const supervisor = await bench.run(bench.spec({ script, readyTimeoutMs: 1_500 }), 'failed');
      assert.match(
        problemOf(supervisor).message,
        /^API listens on \d+ at ::1, and is called at 127\.0\.0\.1\. Make it listen there: .*\$\{host\}/,
      );
    });

    it('with a service that answers something else on its port', async () => {
      const spec = bench.spec({ readiness: { kind: 'http', path: '/health', status: 204 }, readyTimeoutMs: 1_500 });
      const supervisor = await bench.run(spec, 'failed');
      assert.match(problemOf(supervisor).message, /is not healthy on \d+ within 2 s: \/health answers 200, not 204/);
    });

    it('with a service that prints no such line', async () => {
      const spec = bench.spec({ script: idle, readiness: { kind: 'log', pattern: 'ready' }, readyTimeoutMs: 300 });
      assert.match(problemOf(await bench.run(spec, 'failed')).message, /printed no line that matches \/ready\//);
    });

    it('with a readiness that needs a port where there is none', async () => {
      const supervisor = await bench.run(bench.spec({ port: { kind: 'none' } }), 'failed');
      assert.match(problemOf(supervisor).message, /API has no port/);
      assert.deepEqual(await bench.processes(), [], 'and leaves no process behind');
    });

    it('with a fixed port that is taken: by whom', async () => {
      const [port] = portsOf(bench.band);
      await cleanup.stranger(port!);
      const supervisor = await bench.run(bench.spec({ port: { kind: 'fixed', port: port! } }), 'failed');
      assert.match(
        problemOf(supervisor).message,
        new RegExp(
          `^Port ${port} for api is taken by pid ${process.pid} .*Stop that process, or give api another port`,
        ),
      );
    });
  });

  describe('crash loop', () => {
    const FAILS = `
      if (require('node:fs').existsSync(process.env.DIR + '/mended')) { ${http} }
      else { console.log('first words'); console.error('last words'); process.exit(3); }
    `;

    it('ends in failed, with the last lines; start tries again', async () => {
      const spec = bench.spec({ script: FAILS });
      const supervisor = await bench.run(spec, 'failed');
      const { message, lastLines } = problemOf(supervisor);
      assert.equal(message, 'API ended 6 times in a row: exited with code 3');
      assert.deepEqual(lastLines.slice(-2), ['first words', 'last words']);
      assert.equal(supervisor.snapshot.restarts, 5);
      assert.equal(supervisor.snapshot.lastExit?.code, 3);

      const { port } = supervisor.snapshot;
      await writeFile(bench.file('mended'), '');
      supervisor.startAgain();
      await bench.until(supervisor, 'healthy');
      assert.equal(supervisor.snapshot.port, port, 'on the same port');
    });

    it('is left at one exit by the policy never, and at a clean one by on-failure', async () => {
      const never = { ...DEFAULT_RESTART, policy: 'never' } as const;
      const failed = await bench.run(bench.spec({ script: FAILS, restart: never }), 'failed');
      assert.equal(problemOf(failed).message, 'exited with code 3');

      const onFailure = { ...DEFAULT_RESTART, policy: 'on-failure' } as const;
      const stopped = await bench.run(bench.spec({ script: '', restart: onFailure }), 'stopped');
      assert.equal(stopped.snapshot.restarts, 0);
      await until('the record', async () => (await bench.record())['wanted'] === 'stopped');
    });
  });

  describe('when a stranger takes the port between lease and bind', () => {
    async function moves(script: string, take: (port: number) => Promise<unknown>): Promise<Supervisor> {
      const supervisor = await bench.supervisor();
      supervisor.start(bench.spec({ script }));
      await until('the assigned port', () => supervisor.snapshot.pid !== undefined);
      const port = supervisor.snapshot.port!;
      await take(port);
      await writeFile(bench.file('go'), '');
      await bench.until(supervisor, 'healthy');
      assert.notEqual(supervisor.snapshot.port, port);
      assert.ok(portsOf(bench.band).some(one => one === supervisor.snapshot.port));
      assert.deepEqual(JSON.parse(await fetchText(supervisor.snapshot.url!)), {
        status: 'ok',
        pid: supervisor.snapshot.pid,
      });
      assert.match(supervisor.snapshot.note!, new RegExp(`^${port} was taken by .*; moved to another port$`));
      assert.ok(!bench.states.includes('failed') && !bench.states.includes('backingOff'), bench.states.join());
      return supervisor;
    }

    it('and the service says EADDRINUSE and ends', async () => {
      const supervisor = await moves(AFTER_GO, port => cleanup.stranger(port));
      assert.match(supervisor.snapshot.note!, new RegExp(`taken by pid ${process.pid}`), 'it is told by whom');
      assert.equal(supervisor.snapshot.restarts, 0, 'it is not counted as a crash');
    });

    it('and the service ends without a word', async () => {
      await moves(AFTER_GO.replace('console.error(String(error));', ''), port => cleanup.silentStranger(port));
    });

    it('and answers health with the right JSON while the service hangs on', async () => {
      const script = AFTER_GO.replace('process.exit(1);', 'setInterval(() => {}, 1000);');
      await moves(script, port => cleanup.stranger(port, JSON.stringify({ status: 'ok' })));
    });

    it('and says nothing while the service hangs on', async () => {
      const script = AFTER_GO.replace('process.exit(1);', 'setInterval(() => {}, 1000);');
      await moves(script, port => cleanup.silentStranger(port));
    });

    it('at an address that the service leaves free, which localhost may mean as well', async function () {
      if (process.platform !== 'linux') return this.skip();
      const probe = await cleanup.stranger(portsOf(bench.band)[0]!, '', '::1').catch(() => this.skip());
      await close(probe);
      const supervisor = await moves(AFTER_GO, port => cleanup.stranger(port, '', '::1'));
      assert.match(supervisor.snapshot.note!, new RegExp(`taken by pid ${process.pid}`), 'it is told by whom');
    });

    it('and does not come back to that port at once, though it is free again', async () => {
      const supervisor = await bench.supervisor();
      supervisor.start(bench.spec({ script: AFTER_GO }));
      await until('the assigned port', () => supervisor.snapshot.pid !== undefined);
      const port = supervisor.snapshot.port!;
      const stranger = await cleanup.stranger(port);
      supervisor.onChange(({ note }) => {
        if (note) stranger.close();
      });
      await writeFile(bench.file('go'), '');
      await bench.until(supervisor, 'healthy');
      assert.notEqual(supervisor.snapshot.port, port);
    });

    it('counts the time that it lost from the first loss since it was healthy', async () => {
      let passed = 0;
      const supervisor = await bench.supervisor({}, { ...systemClock, now: () => Date.now() + passed });
      supervisor.start(bench.spec({ script: AFTER_GO }));
      for (const round of ['first', 'second']) {
        await until(`the port of the ${round} round`, () => supervisor.snapshot.pid !== undefined);
        const { port, pid } = supervisor.snapshot;
        await cleanup.stranger(port!);
        await writeFile(bench.file('go'), '');
        await until('another process', () => ![undefined, pid].includes(supervisor.snapshot.pid));
        await bench.until(supervisor, 'healthy');
        assert.notEqual(supervisor.snapshot.port, port);
        await rm(bench.file('go'));
        passed += 60_000;
        process.kill(supervisor.snapshot.pid!, 'SIGKILL');
        await until('its end', () => supervisor.snapshot.pid === undefined);
      }
      assert.ok(!bench.states.includes('failed'), bench.states.join());
    });

    it('fails when every port of the band is lost, and says what to do', async () => {
      const supervisor = await bench.supervisor();
      supervisor.start(bench.spec({ script: AFTER_GO }));
      await until('the assigned port', () => supervisor.snapshot.pid !== undefined);
      for (const port of portsOf(bench.band)) await cleanup.stranger(port);
      await writeFile(bench.file('go'), '');
      await bench.until(supervisor, 'failed');
      const { message } = problemOf(supervisor);
      assert.match(message, new RegExp(`^No free port for api in ${bench.band.from}-${bench.band.to}`));
      assert.match(message, /widen the band/);
    });

    it('waits for a fixed port once, and then says who has it', async () => {
      const [port] = portsOf(bench.band);
      const supervisor = await bench.supervisor();
      supervisor.start(bench.spec({ script: AFTER_GO, port: { kind: 'fixed', port: port! } }));
      await until('a process', () => supervisor.snapshot.pid !== undefined);
      const stranger = await cleanup.stranger(port!);
      await writeFile(bench.file('go'), '');
      await bench.until(supervisor, 'failed');
      assert.match(problemOf(supervisor).message, new RegExp(`^Port ${port} for api is taken by pid ${process.pid}`));
      assert.ok(bench.states.includes('backingOff'), 'after a pause');
      await close(stranger);
      supervisor.startAgain();
      await bench.until(supervisor, 'healthy');
      assert.equal(supervisor.snapshot.port, port);
    });
  });

  it('leaves its port to a stranger that takes it later, however well that one answers', async () => {
    const script = `
      const { createServer } = require('node:http');
      const server = createServer((request, response) => response.end('{"status":"ok"}'));
      server.listen(Number(process.env.PORT), '127.0.0.1');
      process.on('SIGHUP', () => server.close());
      ${idle}
    `;
    const supervisor = await bench.supervisor({ steadyMs: 300 });
    supervisor.start(bench.spec({ script }));
    await bench.until(supervisor, 'healthy');
    const { port, pid } = supervisor.snapshot;
    process.kill(pid!, 'SIGHUP');
    await until('the listener to be gone', () => canBind(portsOf(bench.band).find(one => one === port)!));
    await until('a stranger in its place', () =>
      cleanup.stranger(port!, JSON.stringify({ status: 'ok' })).then(() => true),
    );
    await until(
      'another port',
      () => supervisor.snapshot.port !== port && supervisor.snapshot.state.kind === 'healthy',
    );
    assert.notEqual(supervisor.snapshot.pid, pid);
  });

  describe('restarts', () => {
    it('a service that was killed, on the same port', async () => {
      const supervisor = await bench.run(bench.spec());
      const before = supervisor.snapshot;
      const old = await identityOf(before.pid);
      process.kill(old.pid, 'SIGKILL');
      await until('another process', () => ![undefined, old.pid].includes(supervisor.snapshot.pid));
      await bench.until(supervisor, 'healthy');
      const { port, restarts, lastExit } = supervisor.snapshot;
      assert.deepEqual(
        { port, restarts, signal: lastExit?.signal },
        { port: before.port, restarts: 1, signal: 'SIGKILL' },
      );
      assert.deepEqual(bench.states, ['starting', 'healthy', 'stopping', 'backingOff', 'starting', 'healthy']);
    });

    it('a service that hangs', async () => {
      const supervisor = await bench.run(bench.spec());
      const { port, pid } = supervisor.snapshot;
      const old = await identityOf(pid);
      process.kill(old.pid, 'SIGSTOP');
      await until('another process', () => ![undefined, pid].includes(supervisor.snapshot.pid));
      await bench.until(supervisor, 'healthy');
      assert.equal(supervisor.snapshot.port, port);
      assert.ok(!(await alive(old)));
      assert.ok(
        bench.said.some(line => line.startsWith('no answer to 3 checks in a row')),
        bench.said.join('\n'),
      );
    });

    it('a service that hangs, without waiting as long between checks as when all is well', async () => {
      const pauses: number[] = [];
      const clock: Clock = {
        ...systemClock,
        setTimeout: (callback, ms) => {
          pauses.push(ms);
          return systemClock.setTimeout(callback, Math.min(ms, 20));
        },
      };
      const [steadyMs, suspectMs] = [500_000, 100_000];
      const supervisor = await bench.supervisor({ steadyMs, suspectMs }, clock);
      supervisor.start(bench.spec());
      await bench.until(supervisor, 'healthy');
      const { pid } = supervisor.snapshot;
      await until('a steady check', () => pauses.some(ms => ms > suspectMs));
      process.kill(pid!, 'SIGSTOP');
      await until('another process', () => ![undefined, pid].includes(supervisor.snapshot.pid));
      const suspect = pauses.filter(ms => ms > suspectMs / 2 && ms <= suspectMs);
      assert.ok(suspect.length >= 2, pauses.join());
      assert.ok(bench.said.some(line => line.startsWith('no answer to 3 checks in a row')));
    });

    it('not one that answers 503: it is shown as unhealthy, and as healthy again', async () => {
      const supervisor = await bench.run(bench.spec());
      const { pid } = supervisor.snapshot;
      process.kill(pid!, 'SIGUSR2');
      await bench.until(supervisor, 'unhealthy');
      const { state, readyPort, port } = supervisor.snapshot;
      assert.ok(state.kind === 'unhealthy');
      assert.equal(state.reason, '/health answers 503, not 200');
      assert.equal(readyPort, port, 'it stays published');
      process.kill(pid!, 'SIGUSR2');
      await bench.until(supervisor, 'healthy');
      assert.equal(supervisor.snapshot.pid, pid);
      assert.equal(supervisor.snapshot.restarts, 0);
    });

    it('one that answers 503 for too long', async () => {
      const supervisor = await bench.supervisor({ wrongLimitMs: 200 });
      supervisor.start(bench.spec());
      await bench.until(supervisor, 'healthy');
      const { pid } = supervisor.snapshot;
      process.kill(pid!, 'SIGUSR2');
      await until('another process', () => ![undefined, pid].includes(supervisor.snapshot.pid));
      await bench.until(supervisor, 'healthy');
    });

    it('on request, on the same port, once the old process is gone', async () => {
      const supervisor = await bench.run(bench.spec());
      const before = supervisor.snapshot;
      const old = await identityOf(before.pid);
      await supervisor.restart();
      assert.ok(!(await alive(old)));
      await bench.until(supervisor, 'healthy');
      const { port, pid, restarts } = supervisor.snapshot;
      assert.notEqual(pid, before.pid);
      assert.deepEqual({ port, restarts }, { port: before.port, restarts: 1 });
    });

    it('twice at once as once', async () => {
      const script = `require('node:fs').appendFileSync(process.env.DIR + '/starts', 'x\\n'); ${http}`;
      const supervisor = await bench.run(bench.spec({ script }));
      await Promise.all([supervisor.restart(), supervisor.restart()]);
      await bench.until(supervisor, 'healthy');
      assert.equal((await bench.lines('starts')).length, 2);
    });

    it('with another spec: environment and port', async () => {
      const supervisor = await bench.run(bench.spec());
      const other = portsOf(bench.band).find(port => port !== supervisor.snapshot.port)!;
      const script = http.replace("status: 'ok'", "status: 'ok', word: process.env.WORD");
      await supervisor.restart(bench.spec({ script, env: { WORD: 'new' }, port: { kind: 'fixed', port: other } }));
      await bench.until(supervisor, 'healthy');
      assert.equal(supervisor.snapshot.port, other);
      assert.match(await fetchText(supervisor.snapshot.url!), /"word":"new"/);
    });

    it('at once when asked for during a backoff', async () => {
      const script = `
        const fs = require('node:fs');
        if (fs.existsSync(process.env.DIR + '/mended')) { ${http} } else process.exit(1);
      `;
      const restart = { ...DEFAULT_RESTART, initialDelayMs: 3_600_000, maxDelayMs: 3_600_000 };
      const supervisor = await bench.run(bench.spec({ script, restart }), 'backingOff');
      await writeFile(bench.file('mended'), '');
      await supervisor.restart();
      await bench.until(supervisor, 'healthy');
    });

    it('at once when asked for while its fixed port is being given up', async () => {
      const [port] = portsOf(bench.band);
      const restart = { ...DEFAULT_RESTART, initialDelayMs: 3_600_000, maxDelayMs: 3_600_000 };
      const supervisor = await bench.supervisor();
      supervisor.start(bench.spec({ script: AFTER_GO, port: { kind: 'fixed', port: port! }, restart }));
      await until('a process', () => supervisor.snapshot.pid !== undefined);
      const stranger = await cleanup.stranger(port!);
      supervisor.onChange(({ note, state }) => {
        if (!note || state.kind === 'starting') return;
        stranger.close();
        void supervisor.restart();
      });
      await writeFile(bench.file('go'), '');
      await bench.until(supervisor, 'healthy');
    });

    it('as often as asked while it looks for a port', async () => {
      const supervisor = await bench.supervisor();
      const answers: Promise<void>[] = [];
      supervisor.onChange(({ state }) => {
        if (state.kind === 'starting' && answers.length < 3) answers.push(supervisor.restart());
      });
      supervisor.start(bench.spec());
      await bench.until(supervisor, 'healthy');
      await Promise.all(answers);
      assert.equal(answers.length, 3);
      assert.ok(!bench.states.includes('failed'), bench.states.join());
    });

    it('and answers whoever asked, whatever it was doing', async () => {
      const supervisor = await bench.supervisor();
      supervisor.start(bench.spec({ script: AFTER_GO }));
      await until('a process', () => supervisor.snapshot.pid !== undefined);
      const blocked = supervisor.snapshot.port!;
      await cleanup.stranger(blocked);
      // Asked for at every change, among them the moments in which the port is being given up.
      const answers: Promise<void>[] = [];
      const subscription = supervisor.onChange(() => {
        if (answers.length < 8) answers.push(supervisor.restart());
      });
      await writeFile(bench.file('go'), '');
      await until('eight requests', () => answers.length === 8);
      subscription.dispose();
      await Promise.all(answers);
      await bench.until(supervisor, 'healthy');
      assert.ok(!bench.states.includes('failed'), bench.states.join());
    });
  });

  describe('stop', () => {
    it('ends the service and keeps its port known, and its record says that it is to stay so', async () => {
      const supervisor = await bench.run(bench.spec());
      const { port, pid } = supervisor.snapshot;
      const child = await identityOf(pid);
      await supervisor.stop();
      assert.ok(!(await alive(child)));
      const { state, port: kept, readyPort, url, pid: none } = supervisor.snapshot;
      assert.deepEqual(
        { state, kept, readyPort, url, none },
        {
          state: { kind: 'stopped' },
          kept: port,
          readyPort: undefined,
          url: undefined,
          none: undefined,
        },
      );
      const { wanted, port: sticky, child: recorded } = await bench.record();
      assert.deepEqual({ wanted, sticky, recorded }, { wanted: 'stopped', sticky: port, recorded: undefined });
    });

    it('outranks a backoff', async () => {
      const restart = { ...DEFAULT_RESTART, initialDelayMs: 100, maxDelayMs: 100, maxExits: 1_000 };
      const script = `require('node:fs').appendFileSync(process.env.DIR + '/starts', 'x\\n'); process.exit(1);`;
      const supervisor = await bench.run(bench.spec({ script, restart }), 'backingOff');
      await supervisor.stop();
      const starts = (await bench.lines('starts')).length;
      assert.equal(supervisor.snapshot.state.kind, 'stopped');
      // What would come comes within two pauses of the policy; nothing is waited for, so time is all there is.
      await new Promise(resolve => setTimeout(resolve, 300));
      assert.equal((await bench.lines('starts')).length, starts);
    });

    it('outranks a restart that was asked for before it', async () => {
      const supervisor = await bench.run(bench.spec());
      const restarted = supervisor.restart(bench.spec({ env: { OTHER: '1' } }));
      await supervisor.stop();
      await restarted;
      assert.equal(supervisor.snapshot.state.kind, 'stopped');
      assert.deepEqual(await bench.processes(), []);
      assert.equal((await bench.record())['wanted'], 'stopped');
    });

    it('does not outrank a start that is asked for after it', async () => {
      const supervisor = await bench.run(bench.spec());
      const { pid } = supervisor.snapshot;
      const stopped = supervisor.stop();
      supervisor.start(bench.spec());
      await stopped;
      await bench.until(supervisor, 'healthy');
      assert.notEqual(supervisor.snapshot.pid, pid);
      assert.ok(!bench.states.includes('stopped'), 'nobody who waits for the start sees it stopped');
      assert.equal((await bench.record())['wanted'], 'running');
    });

    it('is the last word when it is closed', async () => {
      const supervisor = await bench.run(bench.spec());
      const closed = supervisor.close();
      supervisor.start(bench.spec());
      await closed;
      await supervisor.restart();
      assert.equal(supervisor.snapshot.state.kind, 'stopped');
      assert.deepEqual(await bench.processes(), []);
    });

    it('ends grandchildren, and those that left the group too', async () => {
      const script = `
        const { spawn } = require('node:child_process');
        const child = detached => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached, stdio: 'inherit' });
        require('node:fs').writeFileSync(process.env.DIR + '/pids', child(false).pid + '\\n' + child(true).pid + '\\n');
        ${http}
      `;
      const supervisor = await bench.run(bench.spec({ script }));
      const family = await Promise.all((await bench.lines('pids')).map(pid => identityOf(Number(pid))));
      assert.equal(family.length, 2);
      await supervisor.stop();
      for (const one of family) assert.ok(!(await alive(one)), `pid ${one.pid} is gone`);
    });

    it('ends what a service left behind that ended by itself at once', async () => {
      const script = `
        const { spawn } = require('node:child_process');
        spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'inherit' });
        process.exit(4);
      `;
      const restart = { ...DEFAULT_RESTART, policy: 'never' } as const;
      await bench.run(bench.spec({ script, restart }), 'failed');
      assert.deepEqual(await bench.processes(), []);
    });

    it('goes on to SIGTERM where SIGINT is ignored', async () => {
      const supervisor = await bench.run(
        bench.spec({ script: `process.on('SIGINT', () => {}); ${http}`, stopTimeoutMs: 100 }),
      );
      await supervisor.stop();
      assert.equal(supervisor.snapshot.lastExit, undefined);
      assert.deepEqual(await bench.processes(), []);
    });

    it('gives the port back before it is done', async () => {
      const script = `process.on('SIGINT', () => setTimeout(() => process.exit(), 300)); ${http}`;
      const supervisor = await bench.run(bench.spec({ script }));
      const port = portsOf(bench.band).find(one => one === supervisor.snapshot.port)!;
      await supervisor.stop();
      const lease = await allocateFixed(port, { pid: 1, user: '', workspace: '', service: 'next' });
      await lease.release();
    });
  });

  describe('after a supervisor that was killed', () => {
    it('ends what it left behind, known by the record or by its marker', async () => {
      const recorded = await cleanup.program(idle, {});
      const marked = await cleanup.program(idle, { [RUN_MARKER]: bench.marker });
      await bench.run(bench.spec());
      const record = await bench.record();
      const again = await Bench.make(cleanup);
      await writeFile(
        again.file('api.json'),
        JSON.stringify({ ...record, runMarker: again.marker, child: recorded.identity }),
      );
      const orphan = await cleanup.program(idle, { [RUN_MARKER]: again.marker });
      await again.run(again.spec());
      await untilGone(recorded.identity);
      await untilGone(orphan.identity);
      assert.ok(!(await alive(marked.identity)), 'the first one did so as well');
      assert.equal((await again.processes()).length, 1);
    });

    it('leaves a process alone that only got the old pid', async () => {
      const innocent = await cleanup.program(idle);
      const supervisor = await bench.run(bench.spec());
      await supervisor.stop();
      const child = { pid: innocent.pid, startedAt: 'another time' };
      await writeFile(bench.file('api.json'), JSON.stringify({ ...(await bench.record()), child }));
      await bench.run(bench.spec());
      assert.ok(await alive(innocent.identity));
    });

    it('takes the same port', async () => {
      const first = await bench.run(bench.spec());
      const { port } = first.snapshot;
      await first.close();
      // One of three by chance alone; three in a row are not.
      for (let round = 0; round < 3; round++) {
        const next = await bench.run(bench.spec());
        assert.equal(next.snapshot.port, port);
        await next.close();
      }
    });
  });

  describe('record', () => {
    for (const [what, spoil] of [
      ['is cut off', (file: string) => writeFile(file, '{"version":1,"port":')],
      ['is of a wrong shape', (file: string) => writeFile(file, '{"version":1,"port":"8000"}')],
      ['is binary', (file: string) => writeFile(file, Buffer.from([0, 255, 1, 254]))],
      ['is a folder', async (file: string) => mkdir(file + '/inner', { recursive: true })],
    ] as const) {
      it(`that ${what} costs no start, and is replaced`, async () => {
        await spoil(bench.file('api.json'));
        const supervisor = await bench.run(bench.spec());
        assert.equal((await bench.record())['port'], supervisor.snapshot.port);
      });
    }

    it('that cannot be written is told, and costs no start', async () => {
      const supervisor = await bench.supervisor();
      await rm(bench.dir, { recursive: true });
      await writeFile(bench.dir, 'a file where the folder was');
      supervisor.start(bench.spec({ cwd: '/' }));
      await bench.until(supervisor, 'healthy');
      assert.ok(
        bench.said.some(line => line.startsWith('its state could not be written:')),
        bench.said.join('\n'),
      );
      await supervisor.stop();
      assert.equal(await readFile(bench.dir, 'utf8'), 'a file where the folder was');
    });

    it('in a read-only folder is told, and costs no start', async function () {
      if (process.getuid?.() === 0) return this.skip();
      const supervisor = await bench.supervisor();
      await chmod(bench.dir, 0o500);
      cleanup.add(() => chmod(bench.dir, 0o700));
      supervisor.start(bench.spec());
      await bench.until(supervisor, 'healthy');
      assert.ok(
        bench.said.some(line => line.startsWith('its state could not be written:')),
        bench.said.join('\n'),
      );
    });
  });

  describe('a service that is not ours', () => {
    it('is watched, and neither started nor ended', async () => {
      const [port] = portsOf(bench.band);
      const server = await cleanup.program(http, { PORT: String(port) });
      await server.prints(/^up on/);
      const { command: _command, ...spec } = bench.spec({ port: { kind: 'fixed', port: port! } });
      const supervisor = await bench.run(spec);
      assert.equal(supervisor.snapshot.external, true);
      process.kill(server.pid, 'SIGUSR2');
      await bench.until(supervisor, 'unhealthy');
      process.kill(server.pid, 'SIGUSR2');
      await bench.until(supervisor, 'healthy');
      await supervisor.stop();
      assert.ok(await alive(server.identity));
    });
  });

  it('leaves no process behind when watching it fails', async () => {
    const spec = bench.spec({ script: idle, readiness: { kind: 'log', pattern: '(' } });
    const supervisor = await bench.run(spec, 'failed');
    assert.match(problemOf(supervisor).message, /regular expression/);
    assert.deepEqual(await bench.processes(), []);
  });
});
