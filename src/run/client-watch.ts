import type { MessageConnection } from 'vscode-jsonrpc/node';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import type { HealthLog } from './health-log.ts';
import type { OutputLog } from './output.ts';
import { checkedNotification, outputNotification, type WatchRequest } from './protocol.ts';

/** A service that prints without pause must not drown whoever looks on: lines go in bundles, and of many the last. */
const BUNDLE_MS = 50;
const BUNDLE_LINES = 200;

export interface WatchSources {
  readonly health: HealthLog;
  readonly output: OutputLog;
}

/** What one client has asked to be told while it looks on. */
export class ClientWatch implements Disposable {
  private store = new DisposableStore();
  private bundle: string[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly connection: MessageConnection,
    private readonly sources: WatchSources,
  ) {}

  /** Each request replaces the one before it. */
  set({ checks, output }: WatchRequest): void {
    this.flush();
    this.store.dispose();
    this.store = new DisposableStore();
    if (checks) {
      this.store.add(
        this.sources.health.onCheck(check => {
          void this.connection.sendNotification(checkedNotification, check).catch(() => undefined);
        }),
      );
    }
    if (output) this.watchOutput(this.store);
  }

  dispose(): void {
    this.store.dispose();
  }

  /** Tells at once what is bundled: whoever is answered with the last lines is not told some of them again. */
  readonly flush = (): void => {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.bundle.length === 0) return;
    void this.connection.sendNotification(outputNotification, this.bundle).catch(() => undefined);
    this.bundle = [];
  };

  private watchOutput(store: DisposableStore): void {
    store.add({
      dispose: () => {
        clearTimeout(this.timer);
        this.timer = undefined;
        this.bundle = [];
      },
    });
    store.add(
      this.sources.output.onLines(lines => {
        this.bundle = [...this.bundle, ...lines].slice(-BUNDLE_LINES);
        this.timer ??= setTimeout(this.flush, BUNDLE_MS);
      }),
    );
  }
}
