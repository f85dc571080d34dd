import type { Clock, TimerHandle } from '../base/async.ts';

/** A request that waits for an upstream. */
export interface Waiting {
  /** What it keeps in memory meanwhile. */
  readonly bytes: number;
  /** Try again. */
  readonly onTurn: () => void;
  /** The time is over. */
  readonly onExpired: () => void;
}

export interface HoldLimits {
  readonly maxHeld: number;
  readonly maxHeldBytes: number;
}

interface Place {
  readonly waiting: Waiting;
  readonly timer: TimerHandle;
}

/** Requests that wait while nothing answers: first come, first served, bounded in number and in bytes. */
export class HoldQueue {
  private readonly places = new Map<Waiting, Place>();
  private held = 0;

  constructor(
    private readonly limits: HoldLimits,
    private readonly clock: Clock,
  ) {}

  get size(): number {
    return this.places.size;
  }

  get bytes(): number {
    return this.held;
  }

  /** Answers false where the queue is full. `until` is a time of the clock. */
  enter(waiting: Waiting, until: number): boolean {
    const { maxHeld, maxHeldBytes } = this.limits;
    if (this.places.size >= maxHeld || this.held + waiting.bytes > maxHeldBytes) return false;
    const timer = this.clock.setTimeout(
      () => {
        this.leave(waiting);
        waiting.onExpired();
      },
      Math.max(0, until - this.clock.now()),
    );
    this.places.set(waiting, { waiting, timer });
    this.held += waiting.bytes;
    return true;
  }

  leave(waiting: Waiting): void {
    const place = this.places.get(waiting);
    if (!place) return;
    this.clock.clearTimeout(place.timer);
    this.places.delete(waiting);
    this.held -= waiting.bytes;
  }

  releaseOne(): void {
    const [first] = this.places.keys();
    if (first) this.release(first);
  }

  /** Those who wait now; who comes back meanwhile waits for the next time. */
  releaseAll(): void {
    for (const waiting of [...this.places.keys()]) {
      if (this.places.has(waiting)) this.release(waiting);
    }
  }

  private release(waiting: Waiting): void {
    this.leave(waiting);
    waiting.onTurn();
  }
}
