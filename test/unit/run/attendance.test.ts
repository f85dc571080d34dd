import assert from 'node:assert/strict';
import type { Clock } from '../../../src/base/async.ts';
import { Attendance } from '../../../src/run/attendance.ts';

class FakeClock implements Clock {
  private time = 0;
  private readonly timers = new Map<number, { at: number; callback: () => void }>();
  private next = 1;

  now(): number {
    return this.time;
  }
  setTimeout(callback: () => void, ms: number): number {
    this.timers.set(this.next, { at: this.time + ms, callback });
    return this.next++;
  }
  clearTimeout(handle: unknown): void {
    this.timers.delete(handle as number);
  }
  advance(ms: number): void {
    this.time += ms;
    for (const [id, { at, callback }] of [...this.timers]) {
      if (at > this.time || !this.timers.delete(id)) continue;
      callback();
    }
  }
}

describe('attendance', () => {
  const [one, two] = [{}, {}];
  let clock: FakeClock;
  let deserted: number;
  let attendance: Attendance;

  beforeEach(() => {
    clock = new FakeClock();
    deserted = 0;
    attendance = new Attendance(() => deserted++, clock, 1000);
  });

  it('ends once the last editor has said goodbye and none came back', () => {
    attendance.attend(one);
    attendance.leave(one);
    clock.advance(999);
    assert.equal(deserted, 0);
    clock.advance(1);
    assert.equal(deserted, 1);
  });

  it('goes on when the window was only reloaded', () => {
    attendance.attend(one);
    attendance.leave(one);
    clock.advance(999);
    attendance.attend(two);
    clock.advance(10_000);
    assert.equal(deserted, 0);
  });

  it('goes on while another window looks on', () => {
    attendance.attend(one);
    attendance.attend(two);
    attendance.leave(one);
    clock.advance(10_000);
    assert.equal(deserted, 0);
  });

  it('goes on without an editor that was killed: it is not what keeps services alive', () => {
    attendance.attend(one);
    attendance.lost(one);
    clock.advance(10_000);
    assert.equal(deserted, 0);
  });

  it('takes no goodbye from who never attended', () => {
    attendance.leave(one);
    clock.advance(10_000);
    assert.equal(deserted, 0);
  });
});
