import { type Clock, coalesce, systemClock, type TimerHandle, untilAborted } from '../base/async.ts';
import type { Disposable } from '../base/dispose.ts';
import { isCancelled, messageOf } from '../base/errors.ts';
import { Emitter, type Event } from '../base/event.ts';
import type { Logger } from '../base/logger.ts';
import type { Plan } from '../model/plan.ts';
import type { ServiceId, ServiceSnapshot } from '../model/service.ts';
import { withClaim } from '../run/claim.ts';
import type { RollingOutcome } from './roll.ts';

/** A restart that nobody asked for but a saved file. */
export interface WatchedRestart extends RollingOutcome {
  readonly label: string;
  /** The files, such as "src/api/main.py and 2 more". */
  readonly because: string;
}

/** What is restarted, and how. */
export interface WatchHost {
  readonly dir: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  snapshotOf(id: ServiceId): ServiceSnapshot | undefined;
  /** Settles once the new process is the service: what is saved while the one before drains is not to wait for that. */
  roll(id: ServiceId): Promise<RollingOutcome>;
}

interface Watched {
  readonly id: ServiceId;
  readonly label: string;
  readonly globs: readonly string[];
}

/** Of all clients of a workspace that keep its services one watches; the next one takes over from it. */
const WATCH_CLAIM = '.watch';
/** An editor that saves all, a formatter and a checkout write several files in a row. */
const SETTLE_MS = 300;

/** Restarts services whose files are saved: once for all that was saved together, and one restart at a time. */
export class WatchRestarts implements Disposable {
  private readonly restarted = new Emitter<WatchedRestart>();
  private followed = '';
  private present = new AbortController();

  readonly onRestarted: Event<WatchedRestart> = this.restarted.event;

  constructor(private readonly host: WatchHost) {}

  /** From now on it is as this plan says. */
  follow({ workspace, services }: Plan): void {
    const watched = services
      .filter(({ kind, replicaOf }) => kind === 'process' && replicaOf === undefined)
      .map(({ id, label, watch }) => ({ id, label, globs: watch ?? [] }))
      .filter(({ globs }) => globs.length > 0);
    const key = JSON.stringify(watched);
    if (key === (this.followed || '[]')) return;
    this.followed = key;
    this.present.abort();
    this.present = new AbortController();
    if (watched.length === 0) return;
    this.watch(workspace, watched, this.present.signal).catch((error: unknown) => {
      if (!isCancelled(error)) this.warn(error);
    });
  }

  dispose(): void {
    this.present.abort();
    this.restarted.dispose();
  }

  private watch(workspace: string, watched: readonly Watched[], signal: AbortSignal): Promise<void> {
    return withClaim(this.host.dir, WATCH_CLAIM, signal, async () => {
      // Most workspaces watch nothing, and need none of it.
      const { watchFiles } = await import('./watch-files.ts');
      const onError = (error: unknown): void => this.warn(error);
      const watchers = await Promise.all(
        watched.map(one =>
          watchFiles({ workspace, globs: one.globs, onChange: this.restarterOf(one, signal), onError }),
        ),
      );
      for (const { label, globs } of watched)
        this.host.logger.info(`${label} is restarted when ${globs.join(', ')} changes`);
      await untilAborted(signal).finally(() => {
        for (const watcher of watchers) watcher.dispose();
      });
    });
  }

  /** Told of each file; what comes during a restart is answered by one more. */
  private restarterOf(service: Watched, signal: AbortSignal): (path: string) => void {
    const clock = this.host.clock ?? systemClock;
    const files = new Set<string>();
    let timer: TimerHandle;
    const restart = coalesce(async () => {
      const because = [...files];
      files.clear();
      if (!signal.aborted && because.length > 0) await this.restart(service, because);
    });
    signal.addEventListener('abort', () => clock.clearTimeout(timer), { once: true });
    return path => {
      if (signal.aborted) return;
      this.host.logger.debug(`${service.label}: ${path} changed`);
      files.add(path);
      clock.clearTimeout(timer);
      timer = clock.setTimeout(() => void restart(), SETTLE_MS);
    };
  }

  private async restart({ id, label }: Watched, files: readonly string[]): Promise<void> {
    const { host } = this;
    const snapshot = host.snapshotOf(id);
    // What was stopped stays so. What failed may be what was just mended.
    if (!snapshot || snapshot.external || ['stopped', 'stopping'].includes(snapshot.state.kind)) return;
    const because = files.length === 1 ? files[0]! : `${files[0]} and ${files.length - 1} more`;
    host.logger.info(`restarting ${label}: ${because} changed`);
    try {
      const rolled = await host.roll(id);
      if (rolled.outcome.kind === 'failed') {
        for (const { service, problem } of rolled.outcome.failures)
          host.logger.warn(`${service.label} could not be restarted: ${problem.message}`);
      }
      this.restarted.fire({ label, because, ...rolled });
    } catch (error) {
      this.warn(error);
    }
  }

  private warn(error: unknown): void {
    this.host.logger.warn(`watching files: ${messageOf(error)}`);
  }
}
