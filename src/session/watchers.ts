import { type Disposable, toDisposable } from '../base/dispose.ts';
import type { HealthCheck } from '../model/health-history.ts';
import type { ServiceId } from '../model/service.ts';
import type { WatchRequest } from '../run/protocol.ts';
import type { ServiceLink } from './link.ts';

/** Somebody who looks on; what is left out is not sent at all. */
export interface Watcher {
  readonly onCheck?: (id: ServiceId, check: HealthCheck) => void;
  readonly onOutput?: (id: ServiceId, lines: readonly string[]) => void;
}

/** Those who look at a stack's checks and output as they come. Supervisors send only what somebody here wants. */
export class Watchers {
  private readonly all = new Set<Watcher>();
  private wanted: WatchRequest = { checks: false, output: false };

  constructor(private readonly links: () => readonly ServiceLink[]) {}

  /** A supervisor that came into reach. */
  attach(link: ServiceLink): void {
    const { id } = link.snapshot;
    link.onCheck(check => {
      for (const watcher of [...this.all]) watcher.onCheck?.(id, check);
    });
    link.onOutput(lines => {
      for (const watcher of [...this.all]) watcher.onOutput?.(id, lines);
    });
    if (this.wanted.checks || this.wanted.output) link.watch(this.wanted);
  }

  add(watcher: Watcher): Disposable {
    // Wrapped, so that one object that is added twice is two watchers.
    const own = { ...watcher };
    this.all.add(own);
    this.ask();
    return toDisposable(() => {
      if (this.all.delete(own)) this.ask();
    });
  }

  private ask(): void {
    const all = [...this.all];
    const wanted = { checks: all.some(one => one.onCheck), output: all.some(one => one.onOutput) };
    if (wanted.checks === this.wanted.checks && wanted.output === this.wanted.output) return;
    this.wanted = wanted;
    for (const link of this.links()) link.watch(wanted);
  }
}
