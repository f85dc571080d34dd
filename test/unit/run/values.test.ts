import { strict as assert } from 'node:assert';
import { CancelledError } from '../../../src/base/errors.ts';
import type { Clock } from '../../../src/base/async.ts';
import { BindRace } from '../../../src/run/bind-race.ts';
import { LineWatch } from '../../../src/run/line-watch.ts';

/** Time stands still, and timers never come. */
const STILL: Clock = { now: () => 0, setTimeout: () => undefined, clearTimeout: () => undefined };

describe('bind race', () => {
  it('goes on for 50 tries', () => {
    let race = new BindRace();
    for (let port = 1; port < 50; port++) race = race.lost(port, 0);
    assert.equal(race.isOver, false);
    race = race.lost(50, 0);
    assert.equal(race.isOver, true);
    assert.equal(race.lostPorts.size, 50);
    assert.match(
      race.message('api'),
      /^api lost its port to another process 50 times in a row \(last 46, 47, 48, 49, 50\)/,
    );
  });

  it('goes on for 10 s from the first loss', () => {
    const race = new BindRace().lost(1, 5_000);
    assert.equal(race.lost(2, 14_999).isOver, false);
    assert.equal(race.lost(2, 15_000).isOver, true);
  });

  it('is a value', () => {
    const race = new BindRace().lost(1, 0);
    race.lost(2, 0);
    assert.deepEqual([...race.lostPorts], [1]);
  });
});

describe('line watch', () => {
  it('knows the words with which programs say that a port is taken', () => {
    const said = [
      'Error: listen EADDRINUSE: address already in use 127.0.0.1:8023',
      "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8023): address already in use",
      '[Errno 48] Address already in use',
      'bind() to 0.0.0.0:8080 failed (98: Address already in use)',
      'listen tcp 127.0.0.1:8023: bind: Only one usage of each socket address is normally permitted.',
      'OSError: [WinError 10048] …',
    ];
    for (const line of said) {
      const lines = new LineWatch();
      lines.push(['starting']);
      assert.equal(lines.sawAddressInUse, false);
      lines.push([line, 'more']);
      assert.equal(lines.sawAddressInUse, true, line);
    }
  });

  it('remembers lines from before it is asked, but not for ever', () => {
    const lines = new LineWatch();
    lines.push(['ready']);
    assert.ok(lines.some(/^ready$/));
    lines.push(Array<string>(1_000).fill('noise'));
    assert.ok(!lines.some(/^ready$/));
  });

  it('wakes whoever waits for the next line', async () => {
    const lines = new LineWatch();
    const waiting = lines.nextOr(1_000, new AbortController().signal, STILL);
    lines.push([]);
    lines.push(['now']);
    await waiting;
  });

  it('stops waiting when it is told to', async () => {
    const controller = new AbortController();
    const waiting = new LineWatch().nextOr(1_000, controller.signal, STILL);
    controller.abort();
    await assert.rejects(waiting, CancelledError);
  });
});
