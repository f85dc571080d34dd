import { type Disposable, toDisposable } from './dispose.ts';

export type Event<T> = (listener: (value: T) => void) => Disposable;

/** A typed event. A listener that throws does not keep the others from hearing; the first error is thrown afterwards. */
export class Emitter<T> implements Disposable {
  private readonly listeners = new Set<(value: T) => void>();

  readonly event: Event<T> = listener => {
    // Wrapped, so that one function subscribed twice is two subscriptions.
    const own = (value: T): void => listener(value);
    this.listeners.add(own);
    return toDisposable(() => this.listeners.delete(own));
  };

  fire(value: T): void {
    let failure: { error: unknown } | undefined;
    for (const listener of [...this.listeners]) {
      try {
        listener(value);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure) throw failure.error;
  }

  dispose(): void {
    this.listeners.clear();
  }
}
