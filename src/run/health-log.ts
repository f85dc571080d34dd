import { Emitter } from '../base/event.ts';
import type { HealthCheck, HealthHistory, RestartMark } from '../model/health-history.ts';

/** At a check every two seconds this is nine hours: a working day. */
const KEPT_CHECKS = 16_384;
const KEPT_RESTARTS = 512;

/** What a supervisor remembers of its service's health: in memory alone, bounded, and gone with it. */
export class HealthLog {
  private readonly checks: Ring<HealthCheck>;
  private readonly restarts = new Ring<RestartMark>(KEPT_RESTARTS);
  private readonly checked = new Emitter<HealthCheck>();

  readonly onCheck = this.checked.event;

  constructor(kept = KEPT_CHECKS) {
    this.checks = new Ring(kept);
  }

  readonly add = (check: HealthCheck): void => {
    this.checks.push(check);
    this.checked.fire(check);
  };

  restarted(mark: RestartMark): void {
    this.restarts.push(mark);
  }

  /** The newest `limit` checks, oldest first, and all restarts that are kept. */
  history(limit = Infinity): HealthHistory {
    const checks = this.checks.last(limit);
    return { checks, restarts: this.restarts.last(), dropped: this.checks.seen - checks.length };
  }
}

/** Keeps the newest items. Full, it writes over the oldest, so that a check costs the same after nine hours. */
class Ring<T> {
  private readonly items: T[] = [];
  /** Where the oldest one stands, once it is full. */
  private start = 0;
  private count = 0;

  constructor(private readonly capacity: number) {}

  /** How many there ever were. */
  get seen(): number {
    return this.count;
  }

  push(item: T): void {
    this.count++;
    if (this.items.length < this.capacity) {
      this.items.push(item);
      return;
    }
    this.items[this.start] = item;
    this.start = (this.start + 1) % this.capacity;
  }

  last(limit = Infinity): T[] {
    const ordered = [...this.items.slice(this.start), ...this.items.slice(0, this.start)];
    return limit >= ordered.length ? ordered : ordered.slice(ordered.length - Math.max(0, Math.floor(limit)));
  }
}
