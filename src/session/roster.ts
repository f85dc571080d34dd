import { type FSWatcher, watch } from 'node:fs';
import { coalesce } from '../base/async.ts';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { CancelledError } from '../base/errors.ts';
import { Emitter } from '../base/event.ts';
import { SERVICE_ID_PATTERN, type ServiceId, type ServiceSnapshot } from '../model/service.ts';
import { filesIn } from '../run/claim.ts';
import { ServiceLink } from './link.ts';

const SOCKET = /^(?<id>.+)\.[0-9a-f]{8}\.sock$/;
/**
 * The file system tells of a new socket a moment before it can be connected to, and some network ones tell nothing.
 * So it is looked again: soon after the last news, then ever more seldom.
 */
const FIRST_LOOK_MS = 20;
const LAST_LOOK_MS = 5_000;

/**
 * The supervisors of one workspace that run now, whoever started them. The folder's watcher tells of new ones,
 * the end of its connection of one that is gone.
 */
export class Roster implements Disposable {
  private readonly links = new Map<ServiceId, ServiceLink>();
  private readonly store = new DisposableStore();
  private readonly changed = this.store.add(new Emitter<void>());
  private readonly lost = this.store.add(new Emitter<ServiceSnapshot>());
  private nextLook: NodeJS.Timeout | undefined;

  /** Some service's snapshot changed, or a supervisor came or went. */
  readonly onChange = this.changed.event;
  /** A supervisor is gone; its service as it was last seen. */
  readonly onLost = this.lost.event;

  /** Looks at the folder and connects to every supervisor that is not known yet. */
  readonly refresh = coalesce(() => this.connectNew());

  constructor(
    private readonly dir: string,
    /** On Windows pipes cannot be listed; these ids are tried. */
    private readonly expected: () => readonly ServiceId[],
    private readonly onLink: (link: ServiceLink) => void = () => undefined,
  ) {
    const watcher = this.watchDir();
    if (watcher) this.store.add({ dispose: () => watcher.close() });
    this.store.add({ dispose: () => clearTimeout(this.nextLook) });
    this.lookAgain(FIRST_LOOK_MS);
  }

  get(id: ServiceId): ServiceLink | undefined {
    return this.links.get(id);
  }

  get ids(): readonly ServiceId[] {
    return [...this.links.keys()];
  }

  /** The service's supervisor as soon as it can be talked to; undefined after `ms`, or once `ended` settles. */
  async waitFor(
    id: ServiceId,
    { ms, ended, signal }: { readonly ms: number; readonly ended?: Promise<unknown>; readonly signal: AbortSignal },
  ): Promise<ServiceLink | undefined> {
    // Not `AbortSignal.timeout`: combined with another one it is collected, and never fires (Node 20).
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), ms);
    void ended?.then(() => limit.abort());
    await this.refresh();
    await this.until(() => this.links.has(id), AbortSignal.any([signal, limit.signal])).catch(() => undefined);
    clearTimeout(timer);
    if (signal.aborted) throw new CancelledError();
    return this.links.get(id);
  }

  /** Resolves once `condition` holds, which is asked after every change; rejects when `signal` aborts. */
  until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (condition()) return resolve();
      if (signal.aborted) return reject(new CancelledError());
      const settle = (done: () => void): void => {
        subscription.dispose();
        signal.removeEventListener('abort', onAbort);
        done();
      };
      const onAbort = (): void => settle(() => reject(new CancelledError()));
      const subscription = this.changed.event(() => {
        if (condition()) settle(resolve);
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  dispose(): void {
    this.store.dispose();
    for (const link of this.links.values()) link.dispose();
    this.links.clear();
  }

  private watchDir(): FSWatcher | undefined {
    try {
      const watcher = watch(this.dir, (_event, file) => {
        if (file !== null && !file.endsWith('.sock')) return;
        void this.refresh();
        this.lookAgain(FIRST_LOOK_MS);
      });
      watcher.on('error', () => undefined);
      watcher.unref();
      return watcher;
    } catch {
      return undefined;
    }
  }

  private lookAgain(pause: number): void {
    if (this.store.isDisposed) return;
    clearTimeout(this.nextLook);
    this.nextLook = setTimeout(() => {
      void this.refresh();
      this.lookAgain(Math.min(LAST_LOOK_MS, pause * 2));
    }, pause);
    this.nextLook.unref();
  }

  private async connectNew(): Promise<void> {
    if (this.store.isDisposed) return;
    const found = this.present().filter(id => !this.links.has(id));
    await Promise.all(found.map(id => this.connect(id)));
  }

  private present(): ServiceId[] {
    if (process.platform === 'win32') return [...this.expected()];
    const names = filesIn(this.dir).map(file => SOCKET.exec(file)?.groups?.['id'] ?? '');
    return [...new Set(names)].filter(name => SERVICE_ID_PATTERN.test(name)) as ServiceId[];
  }

  private async connect(id: ServiceId): Promise<void> {
    const link = await ServiceLink.open(this.dir, id);
    if (!link) return;
    if (this.store.isDisposed || this.links.has(id)) return link.dispose();
    this.links.set(id, link);
    this.onLink(link);
    link.onChange(() => this.changed.fire());
    link.onClose(() => {
      this.links.delete(id);
      link.dispose();
      this.changed.fire();
      this.lost.fire(link.snapshot);
    });
    this.changed.fire();
  }
}
