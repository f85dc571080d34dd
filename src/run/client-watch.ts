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

  constructor(
    private readonly connection: MessageConnection,
    private readonly sources: WatchSources,
  ) {}

  /** Each request replaces the one before it. */
  set({ checks, output }: WatchRequest): void {
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

  private watchOutput(store: DisposableStore): void {
    let bundle: string[] = [];
    let timer: NodeJS.Timeout | undefined;
    const send = (): void => {
      timer = undefined;
      void this.connection.sendNotification(outputNotification, bundle).catch(() => undefined);
      bundle = [];
    };
    store.add(
      this.sources.output.onLines(lines => {
        bundle.push(...lines);
        if (bundle.length > BUNDLE_LINES) bundle.splice(0, bundle.length - BUNDLE_LINES);
        timer ??= setTimeout(send, BUNDLE_MS);
      }),
    );
    store.add({ dispose: () => clearTimeout(timer) });
  }
}
