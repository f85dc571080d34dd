import { Emitter } from '../base/event.ts';

/** The proxies that hand requests to this service, and what they have said about processes that are to end. */
export class Fronts {
  /** By connection: the pids of which nothing is left with that proxy. */
  private readonly connected = new Map<object, Set<number>>();
  private readonly changed = new Emitter<void>();

  get isEmpty(): boolean {
    return this.connected.size === 0;
  }

  join(front: object): void {
    if (!this.connected.has(front)) this.connected.set(front, new Set());
  }

  /** A proxy that is gone has nothing open any more. */
  lost(front: object): void {
    if (this.connected.delete(front)) this.changed.fire();
  }

  drained(front: object, pid: number): void {
    this.connected.get(front)?.add(pid);
    this.changed.fire();
  }

  /** Resolves once no proxy has a request or a stream open to this process, or when `signal` aborts. */
  untilDrained(pid: number, signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const look = (): void => {
        const isDone = [...this.connected.values()].every(drained => drained.has(pid));
        if (!isDone && !signal.aborted) return;
        subscription.dispose();
        signal.removeEventListener('abort', look);
        resolve();
      };
      const subscription = this.changed.event(look);
      signal.addEventListener('abort', look);
      look();
    });
  }
}
