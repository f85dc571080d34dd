import { strict as assert } from 'node:assert';
import type { HealthCheck } from '../../../src/model/health-history.ts';
import { HealthLog } from '../../../src/run/health-log.ts';
import { waitFor } from '../../support/wait.ts';
import { Bench, Cleanup } from './harness.ts';

const check = (at: number): HealthCheck => ({ at, latencyMs: 1, outcome: 'ok', port: 18_000 });

describe('health log', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  it('keeps the newest checks, in order, and says how many it no longer has', () => {
    const log = new HealthLog(4);
    const times = (limit?: number): number[] => log.history(limit).checks.map(one => one.at);
    assert.deepEqual(log.history(), { checks: [], restarts: [], dropped: 0 });
    for (let at = 1; at <= 3; at++) log.add(check(at));
    assert.deepEqual(times(), [1, 2, 3]);
    for (let at = 4; at <= 11; at++) log.add(check(at));
    assert.deepEqual(times(), [8, 9, 10, 11]);
    assert.deepEqual(times(2), [10, 11]);
    assert.deepEqual(times(0), []);
    assert.equal(log.history().dropped, 7);
    assert.equal(log.history(1).dropped, 10);
  });

  it('tells of each check as it comes', () => {
    const log = new HealthLog();
    const heard: number[] = [];
    const subscription = log.onCheck(one => heard.push(one.at));
    log.add(check(1));
    subscription.dispose();
    log.add(check(2));
    assert.deepEqual(heard, [1]);
  });

  it('has every check of a service that starts, is well, is wrong, and is restarted', async () => {
    const bench = await Bench.make(cleanup);
    const supervisor = await bench.run(bench.spec());
    const { health } = supervisor;
    const outcomes = (): string[] => health.history().checks.map(one => one.outcome);
    await waitFor('checks of a steady service', () => outcomes().filter(one => one === 'ok').length >= 3);
    const port = supervisor.snapshot.port!;
    process.kill(supervisor.snapshot.pid!, 'SIGUSR2');
    await waitFor('a wrong answer', () => outcomes().includes('wrong'));
    await supervisor.restart();
    await bench.until(supervisor, 'healthy');
    process.kill(supervisor.snapshot.pid!, 'SIGKILL');
    await waitFor('a second restart', () => health.history().restarts.length >= 2);
    const { checks, restarts, dropped } = health.history();
    assert.equal(dropped, 0);
    assert.deepEqual(
      restarts.map(one => one.reason),
      ['asked for', 'ended by SIGKILL'],
    );
    assert.ok(checks.every(one => one.port === port && one.latencyMs >= 0 && one.at <= Date.now()));
    assert.ok(checks.every((one, index) => index === 0 || checks[index - 1]!.at <= one.at));
    const wrong = checks.find(one => one.outcome === 'wrong');
    assert.match(wrong?.reason ?? '', /503/);
    assert.ok(checks.filter(one => one.outcome === 'ok').every(one => one.reason === undefined));
  });
});
