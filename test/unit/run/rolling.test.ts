import { strict as assert } from 'node:assert';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Port, toPort } from '../../../src/model/port.ts';
import type { RunSpec, ServiceSnapshot } from '../../../src/model/service.ts';
import { leasePort } from '../../../src/ports/lease.ts';
import { identify, type ProcessIdentity } from '../../../src/run/processes.ts';
import type { RollOutcome } from '../../../src/run/rolling.ts';
import type { Supervisor } from '../../../src/run/supervisor.ts';
import { waitFor } from '../../support/wait.ts';
import { alive, Bench, Cleanup, portsOf, SERVICES, untilGone } from './harness.ts';

/** Healthy at once and talkative the first time; the ones that come after wait for the file `go`, and fail if `bad` is there. */
const NEXT_WAITS = `
  const fs = require('node:fs');
  const { DIR } = process.env;
  fs.writeFileSync(DIR + '/began-' + process.pid, '');
  const listen = () => { ${SERVICES.http} };
  if (!fs.existsSync(DIR + '/first')) {
    fs.writeFileSync(DIR + '/first', '');
    setInterval(() => console.log('the first one talks'), 2);
    listen();
  } else {
    const look = () => {
      if (fs.existsSync(DIR + '/bad')) { console.error('bad configuration'); process.exit(3); }
      if (fs.existsSync(DIR + '/go')) listen(); else setTimeout(look, 10);
    };
    look();
  }
`;

/** Longer than a limit of 100 ms with what a supervisor adds to it. */
const BEYOND_SHORT_LIMIT_MS = 3_000;

/** Asked to end, it goes on until there is the file `end`. */
const ENDS_LATE = `
  const { existsSync } = require('node:fs');
  process.on('SIGINT', () => setInterval(() => existsSync(process.env.DIR + '/end') && process.exit(0), 10));
  ${SERVICES.http}
`;

async function identityOf(pid: number | undefined): Promise<ProcessIdentity> {
  const identity = await identify(pid ?? 0);
  assert.ok(identity, `pid ${pid} runs`);
  return identity;
}

const answeringPid = (url: string): Promise<number> =>
  new Promise((resolve, reject) => {
    get(url, { agent: false }, response => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve((JSON.parse(text) as { pid: number }).pid));
    }).on('error', reject);
  });

describe('rolling restart', function () {
  this.timeout(180_000);
  const cleanup = new Cleanup();
  let bench: Bench;

  beforeEach(async () => {
    bench = await Bench.make(cleanup, 4);
  });

  afterEach(() => cleanup.run());

  const waiting = (changes: Partial<RunSpec> = {}): RunSpec =>
    bench.spec({ script: NEXT_WAITS, drainMs: 60_000, ...changes });
  const go = (): Promise<void> => writeFile(bench.file('go'), '');
  const until = (what: string, probe: () => boolean | Promise<boolean>): Promise<unknown> =>
    waitFor(what, probe, { interval: 5, seen: () => bench.said });

  const drainingOf = ({ snapshot: { pid, port } }: Supervisor): ServiceSnapshot['draining'] => ({
    pid: pid!,
    port: port!,
  });

  /** Rolls it, and answers once it has switched and the one before drains. */
  async function switched(supervisor: Supervisor, spec?: RunSpec): Promise<{ readonly rolled: Promise<RollOutcome> }> {
    const leaving = drainingOf(supervisor);
    const rolled = supervisor.roll(spec);
    await until('the switch', () => supervisor.snapshot.draining?.pid === leaving?.pid);
    assert.deepEqual(supervisor.snapshot.draining, leaving);
    return { rolled };
  }

  /** One process that drains for as long as a proxy likes, one that is the service, and one that waits to be it. */
  async function three(): Promise<{
    readonly supervisor: Supervisor;
    readonly pids: readonly [draining: number, present: number, coming: number];
    readonly rolls: readonly [first: Promise<RollOutcome>, second: Promise<RollOutcome>];
    readonly front: object;
  }> {
    const supervisor = await bench.run(waiting({ drainMs: 600_000 }));
    const front = {};
    supervisor.fronts.join(front);
    await go();
    const first = await switched(supervisor);
    await rm(bench.file('go'));
    const second = supervisor.roll();
    const coming = await pidBeside(supervisor);
    const { draining, pid } = supervisor.snapshot;
    return { supervisor, pids: [draining!.pid, pid!, coming], rolls: [first.rolled, second], front };
  }

  /** The process that was begun beside these. */
  async function pidBeside(supervisor: Supervisor): Promise<number> {
    let pid = 0;
    await until('the next process', async () => {
      const begun = (await readdir(bench.dir))
        .filter(file => file.startsWith('began-'))
        .map(file => Number(file.slice(6)));
      const { snapshot } = supervisor;
      pid = begun.find(one => one !== snapshot.pid && one !== snapshot.draining?.pid) ?? 0;
      // By then it stands in the record, too.
      return pid > 0 && JSON.stringify(await bench.record()).includes(`"pid":${pid}`);
    });
    return pid;
  }

  it('has two side by side, switches to the new port, and ends the old one', async () => {
    const supervisor = await bench.run(waiting());
    const before = supervisor.snapshot;
    const old = await identityOf(before.pid);
    const rolled = supervisor.roll();
    const pid = await pidBeside(supervisor);
    assert.equal(await answeringPid(before.url!), before.pid, 'the old one answers as before');
    assert.deepEqual(supervisor.snapshot, before, 'nothing is told before there is something to tell');
    await go();
    assert.deepEqual(await rolled, { kind: 'rolled' });
    const { port, readyPort, url, restarts, draining, state } = supervisor.snapshot;
    assert.equal(supervisor.snapshot.pid, pid);
    assert.notEqual(port, before.port);
    assert.deepEqual(
      { readyPort, url, restarts, draining, state: state.kind },
      { readyPort: port, url: `http://127.0.0.1:${port}`, restarts: 1, draining: undefined, state: 'healthy' },
    );
    assert.equal(await answeringPid(url!), pid);
    assert.equal(await alive(old), false);
    // Healthy all the time, as seen from outside.
    assert.deepEqual(bench.states, ['starting', 'healthy']);
    const free = portsOf(bench.band).find(one => one === before.port)!;
    const lease = await leasePort(free, { pid: process.pid, user: '', workspace: '', service: '' });
    assert.ok(lease, 'the old port was given back');
    await lease.release();
  });

  it('waits for a proxy to say that nothing is open to the old one', async () => {
    const supervisor = await bench.run(bench.spec({ drainMs: 600_000 }));
    const { pid, port, url } = supervisor.snapshot;
    const [front, other] = [{}, {}];
    supervisor.fronts.join(front);
    supervisor.fronts.join(other);
    const rolled = supervisor.roll();
    await until('the switch', () => supervisor.snapshot.draining !== undefined);
    assert.deepEqual(supervisor.snapshot.draining, { pid, port });
    supervisor.fronts.drained(front, pid!);
    supervisor.fronts.drained(other, supervisor.snapshot.pid!);
    assert.equal(await answeringPid(url!), pid, 'it is still there for the other proxy');
    // A proxy that is gone has nothing open.
    supervisor.fronts.lost(other);
    assert.deepEqual(await rolled, { kind: 'rolled' });
    assert.equal(supervisor.snapshot.draining, undefined);
  });

  it('does not wait for a proxy beyond the limit', async () => {
    const supervisor = await bench.run(bench.spec({ drainMs: 100 }));
    const old = await identityOf(supervisor.snapshot.pid);
    supervisor.fronts.join({});
    assert.deepEqual(await supervisor.roll(), { kind: 'rolled' });
    assert.equal(await alive(old), false);
  });

  it('has the limit of the new one, be it longer or shorter', async () => {
    const supervisor = await bench.run(bench.spec({ drainMs: 100 }));
    const front = {};
    supervisor.fronts.join(front);
    const old = await identityOf(supervisor.snapshot.pid);
    const rolled = supervisor.roll(bench.spec({ drainMs: 600_000 }));
    await until('the switch', () => supervisor.snapshot.draining !== undefined);
    await sleep(BEYOND_SHORT_LIMIT_MS);
    assert.equal(await alive(old), true);
    supervisor.fronts.drained(front, old.pid);
    assert.deepEqual(await rolled, { kind: 'rolled' });
    assert.equal(await alive(old), false);
    assert.deepEqual(await supervisor.roll(bench.spec({ drainMs: 100 })), { kind: 'rolled' });
  });

  it('has the limit that a stop brings with it', async () => {
    const supervisor = await bench.run(bench.spec({ drainMs: 600_000 }));
    supervisor.fronts.join({});
    await supervisor.stop({ drain: true, drainMs: 100 });
    assert.deepEqual(await bench.processes(), []);
  });

  it('leaves the old one alone when the new one fails, and says why', async () => {
    const supervisor = await bench.run(waiting());
    const { note: _note, ...before } = supervisor.snapshot;
    await writeFile(bench.file('bad'), '');
    const outcome = await supervisor.roll();
    assert.equal(outcome.kind, 'failed');
    assert.match(outcome.problem.message, /exited with code 3/);
    assert.deepEqual(
      outcome.problem.lastLines,
      ['bad configuration'],
      'its own words, not those of the one that goes on',
    );
    const { note, ...after } = supervisor.snapshot;
    assert.deepEqual(after, before);
    assert.match(note ?? '', /rolling restart failed.*exited with code 3/);
    assert.equal(await answeringPid(before.url!), before.pid);
    assert.deepEqual(await bench.processes(), [before.pid]);
  });

  it('leaves the old one alone when the new one is killed or never gets healthy', async () => {
    const supervisor = await bench.run(waiting());
    const { pid, url } = supervisor.snapshot;
    const rolled = supervisor.roll();
    process.kill(await pidBeside(supervisor), 'SIGKILL');
    const outcome = await rolled;
    assert.equal(outcome.kind, 'failed');
    assert.match(outcome.problem.message, /SIGKILL/);
    const late = await supervisor.roll(waiting({ readyTimeoutMs: 300 }));
    assert.equal(late.kind, 'failed');
    assert.match(late.problem.message, /never listened on/);
    assert.equal(await answeringPid(url!), pid);
    assert.deepEqual(await bench.processes(), [pid]);
  });

  it('goes over to the new one when the old one falls on the way', async () => {
    const supervisor = await bench.run(waiting());
    const rolled = supervisor.roll();
    const pid = await pidBeside(supervisor);
    process.kill(supervisor.snapshot.pid!, 'SIGKILL');
    await until('the fall', () => supervisor.snapshot.pid === undefined);
    await go();
    assert.deepEqual(await rolled, { kind: 'rolled' });
    assert.equal(supervisor.snapshot.pid, pid);
    await bench.until(supervisor, 'healthy');
    assert.deepEqual(await bench.processes(), [pid]);
  });

  it('restarts the new one when it falls while the old one drains', async () => {
    const supervisor = await bench.run(bench.spec({ drainMs: 600_000 }));
    const old = supervisor.snapshot.pid!;
    const front = {};
    supervisor.fronts.join(front);
    const rolled = supervisor.roll();
    await until('the switch', () => supervisor.snapshot.draining !== undefined);
    const next = supervisor.snapshot.pid!;
    process.kill(next, 'SIGKILL');
    await until('another one', () => ![undefined, old, next].includes(supervisor.snapshot.pid));
    await bench.until(supervisor, 'healthy');
    supervisor.fronts.drained(front, old);
    assert.deepEqual(await rolled, { kind: 'rolled' });
    assert.deepEqual(await bench.processes(), [supervisor.snapshot.pid]);
  });

  it('is undone by a stop, before and after the switch', async () => {
    const supervisor = await bench.run(waiting());
    const rolled = supervisor.roll();
    await pidBeside(supervisor);
    await supervisor.stop();
    assert.deepEqual(await rolled, { kind: 'superseded' });
    assert.deepEqual(await bench.processes(), []);
    await go();
    supervisor.startAgain();
    await bench.until(supervisor, 'healthy');
    supervisor.fronts.join({});
    const again = supervisor.roll();
    await until('the switch', () => supervisor.snapshot.draining !== undefined);
    await supervisor.stop();
    await again;
    assert.deepEqual(await bench.processes(), []);
    const { state, draining, pid } = supervisor.snapshot;
    assert.deepEqual({ state: state.kind, draining, pid }, { state: 'stopped', draining: undefined, pid: undefined });
  });

  it('gives way to a plain restart', async () => {
    const supervisor = await bench.run(waiting());
    const rolled = supervisor.roll();
    const pid = await pidBeside(supervisor);
    const beside = await identityOf(pid);
    await go();
    // Whichever comes first, in the end there is one process, and it is healthy.
    await supervisor.restart();
    await rolled;
    await bench.until(supervisor, 'healthy');
    await untilGone(beside);
    assert.deepEqual(await bench.processes(), [supervisor.snapshot.pid]);
  });

  it('asked for several times meanwhile is done once more after that', async () => {
    const supervisor = await bench.run(bench.spec());
    const all = [supervisor.roll(), supervisor.roll(), supervisor.roll()];
    assert.deepEqual(
      await Promise.all(all),
      all.map(() => ({ kind: 'rolled' })),
    );
    assert.equal(supervisor.snapshot.restarts, 2);
    assert.deepEqual(await bench.processes(), [supervisor.snapshot.pid]);
  });

  it('asked for as soon as one is over joins the one that waits for that', async () => {
    const supervisor = await bench.run(bench.spec());
    const roll = (): Promise<RollOutcome> => supervisor.roll(undefined, { untilSwitched: true });
    const [first, waits] = [roll(), roll()];
    const joins = first.then(roll);
    const outcomes = await Promise.all([first, waits, joins]);
    assert.deepEqual(
      outcomes,
      outcomes.map(() => ({ kind: 'rolled' })),
    );
    assert.equal(supervisor.snapshot.restarts, 2);
  });

  it('begins at once while the one before drains, which ends when it has switched', async () => {
    const supervisor = await bench.run(bench.spec({ drainMs: 600_000 }));
    supervisor.fronts.join({});
    const { port } = supervisor.snapshot;
    const first = await identityOf(supervisor.snapshot.pid);
    const one = await switched(supervisor);
    const { url } = supervisor.snapshot;
    const second = await identityOf(supervisor.snapshot.pid);
    const two = await switched(supervisor);
    assert.deepEqual(await one.rolled, { kind: 'rolled' });
    assert.equal(await alive(first), false);
    assert.equal(await answeringPid(url!), second.pid, 'the last one drains in its place');
    assert.equal(supervisor.snapshot.draining?.pid, second.pid);
    const lease = await leasePort(port as Port, { pid: process.pid, user: '', workspace: '', service: '' });
    assert.ok(lease, 'the port of the first one was given back');
    await lease.release();
    const { child, beside, leaving } = await bench.record();
    const third = await identityOf(supervisor.snapshot.pid);
    assert.deepEqual({ child, beside, leaving }, { child: third, beside: undefined, leaving: [second] });
    await supervisor.stop();
    assert.deepEqual(await two.rolled, { kind: 'rolled' });
    assert.deepEqual(await bench.processes(), []);
    assert.equal((await bench.record())['leaving'], undefined);
  });

  it('is over for who asked so as soon as it has switched', async () => {
    const supervisor = await bench.run(bench.spec({ drainMs: 600_000 }));
    supervisor.fronts.join({});
    const leaving = drainingOf(supervisor);
    assert.deepEqual(await supervisor.roll(undefined, { untilSwitched: true }), { kind: 'rolled' });
    assert.deepEqual(supervisor.snapshot.draining, leaving);
  });

  it('never has more than three at a time', async () => {
    const spec = bench.spec({ script: ENDS_LATE, drainMs: 600_000, stopTimeoutMs: 600_000 });
    const supervisor = await bench.run(spec);
    cleanup.add(() => writeFile(bench.file('end'), ''));
    supervisor.fronts.join({});
    const ending = supervisor.snapshot.pid!;
    const one = await switched(supervisor);
    const two = await switched(supervisor);
    await until('the end of the first', () => bench.said.includes(`ending the process before (pid ${ending})`));
    const present = supervisor.snapshot.pid!;
    const all = [ending, supervisor.snapshot.draining!.pid, present];
    const three = supervisor.roll();
    await until('the wait for it', () => bench.said.includes(`the next process waits for the end of pid ${ending}`));
    assert.deepEqual(new Set(await bench.processes()), new Set(all));
    assert.equal(supervisor.snapshot.pid, present);
    await writeFile(bench.file('end'), '');
    assert.deepEqual(await one.rolled, { kind: 'rolled' });
    await until('the switch', () => supervisor.snapshot.draining?.pid === present);
    assert.deepEqual(await two.rolled, { kind: 'rolled' });
    await supervisor.stop();
    assert.deepEqual(await three, { kind: 'rolled' });
    assert.deepEqual(await bench.processes(), []);
  });

  it('in a band of two ports takes over that of the one that drains', async () => {
    const band = { from: bench.band.from, to: toPort(bench.band.from + 1) };
    const supervisor = await bench.run(bench.spec({ port: { kind: 'band', band }, drainMs: 600_000 }));
    supervisor.fronts.join({});
    const { port } = supervisor.snapshot;
    const one = await switched(supervisor);
    await switched(supervisor);
    assert.equal(supervisor.snapshot.port, port);
    assert.deepEqual(await one.rolled, { kind: 'rolled' });
  });

  it('leaves the one alone that drains when the new one fails', async () => {
    const { supervisor, pids, rolls, front } = await three();
    const [first, second] = pids;
    const { note: _note, ...before } = supervisor.snapshot;
    await writeFile(bench.file('bad'), '');
    assert.equal((await rolls[1]).kind, 'failed');
    const { note, ...after } = supervisor.snapshot;
    assert.deepEqual(after, before);
    assert.match(note ?? '', /rolling restart failed/);
    assert.deepEqual(new Set(await bench.processes()), new Set([first, second]));
    const { beside, leaving } = await bench.record();
    assert.deepEqual({ beside, leaving }, { beside: undefined, leaving: [await identityOf(first)] });
    supervisor.fronts.drained(front, first);
    assert.deepEqual(await rolls[0], { kind: 'rolled' });
    assert.deepEqual(await bench.processes(), [second]);
    assert.equal(supervisor.snapshot.draining, undefined);
  });

  it('goes over to the new one when the present one falls on the way, and the one before drains', async () => {
    const { supervisor, pids, rolls } = await three();
    process.kill(pids[1], 'SIGKILL');
    await until('the fall', () => supervisor.snapshot.pid === undefined);
    await go();
    assert.deepEqual(await Promise.all(rolls), [{ kind: 'rolled' }, { kind: 'rolled' }]);
    assert.equal(supervisor.snapshot.pid, pids[2]);
    assert.equal(supervisor.snapshot.draining, undefined);
    await bench.until(supervisor, 'healthy');
    assert.deepEqual(await bench.processes(), [pids[2]]);
  });

  for (const how of ['stop', 'close'] as const) {
    it(`is undone by a ${how} with one that drains and one to come, and so is one that waits for it`, async () => {
      const { supervisor, rolls } = await three();
      const queued = supervisor.roll();
      await supervisor[how]();
      const outcomes = await Promise.all([...rolls, queued]);
      assert.deepEqual(
        outcomes.map(({ kind }) => kind),
        ['rolled', 'superseded', 'superseded'],
      );
      assert.deepEqual(await bench.processes(), []);
      const { state, draining, pid } = supervisor.snapshot;
      assert.deepEqual({ state: state.kind, draining, pid }, { state: 'stopped', draining: undefined, pid: undefined });
      const { child, beside, leaving } = await bench.record();
      assert.deepEqual({ child, beside, leaving }, { child: undefined, beside: undefined, leaving: undefined });
    });
  }

  it('is undone by a stop that drains, for which the present one drains alone', async () => {
    const { supervisor, pids, rolls, front } = await three();
    const [, present, coming] = pids;
    const draining = drainingOf(supervisor);
    const late = await identityOf(coming);
    const stopped = supervisor.stop({ drain: true });
    assert.deepEqual(await Promise.all(rolls), [{ kind: 'rolled' }, { kind: 'superseded' }]);
    await untilGone(late);
    assert.deepEqual(supervisor.snapshot.draining, draining);
    assert.deepEqual(await bench.processes(), [present]);
    supervisor.fronts.drained(front, present);
    await stopped;
    assert.deepEqual(await bench.processes(), []);
  });

  it('gives way to a plain restart with one that drains and one to come', async () => {
    const { supervisor, pids, rolls } = await three();
    const before = await Promise.all(pids.map(identityOf));
    await go();
    await supervisor.restart();
    await Promise.all(rolls);
    await bench.until(supervisor, 'healthy');
    await Promise.all(before.slice(0, 2).map(untilGone));
    await until('one process', async () => (await bench.processes()).length === 1);
    assert.deepEqual(await bench.processes(), [supervisor.snapshot.pid]);
  });

  it('of a service that has a fixed port, or none, is a plain restart, and says so', async () => {
    const [port] = portsOf(bench.band);
    const supervisor = await bench.run(bench.spec({ port: { kind: 'fixed', port: port! } }));
    const { pid } = supervisor.snapshot;
    const outcome = await supervisor.roll();
    assert.deepEqual(outcome, { kind: 'restarted', reason: `API has the fixed port ${port}, which only one can have` });
    await bench.until(supervisor, 'healthy');
    assert.notEqual(supervisor.snapshot.pid, pid);
  });

  it('of a stopped service starts it', async () => {
    const supervisor = await bench.run(bench.spec());
    await supervisor.stop();
    assert.equal((await supervisor.roll()).kind, 'restarted');
    await bench.until(supervisor, 'healthy');
  });

  it('leaves nothing behind when its supervisor is lost: both processes stand in the record', async () => {
    const lost = await bench.run(waiting());
    void lost.roll();
    const pids = [lost.snapshot.pid!, await pidBeside(lost)];
    const record = await bench.record();
    assert.deepEqual([record['child'], record['beside']], await Promise.all(pids.map(identityOf)));
    // What a killed supervisor leaves: its processes, without anybody who looks after them.
    const identities = await Promise.all(pids.map(identityOf));
    await go();
    const next = await bench.run(bench.spec());
    assert.deepEqual(await Promise.all(identities.map(alive)), [false, false]);
    assert.ok(!pids.includes(next.snapshot.pid!));
  });

  it('leaves nothing behind when its supervisor is lost with three processes', async () => {
    const { pids } = await three();
    const [draining, present, coming] = await Promise.all(pids.map(identityOf));
    const { child, beside, leaving } = await bench.record();
    assert.deepEqual({ child, beside, leaving }, { child: present, beside: coming, leaving: [draining] });
    await go();
    const next = await bench.run(bench.spec());
    assert.deepEqual(await Promise.all([draining!, present!, coming!].map(alive)), [false, false, false]);
    assert.ok(!pids.includes(next.snapshot.pid!));
  });
});
