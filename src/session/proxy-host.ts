import { type FSWatcher, watch } from 'node:fs';
import { coalesce } from '../base/async.ts';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { isCancelled, messageOf, UserError } from '../base/errors.ts';
import { isFronted } from '../model/front.ts';
import type { ServiceSnapshot } from '../model/service.ts';
import type { Listen, ProxyEngine } from '../proxy/engine.ts';
import type { ServiceLink } from './link.ts';
import { type ProxySettings, PROXY_SETTINGS_FILE, readProxySettings } from './proxy-settings.ts';
import { drainingOf, proxySnapshotOf } from './proxy-snapshot.ts';
import { Roster } from './roster.ts';

export interface ProxyHostOptions {
  readonly dir: string;
  readonly listen: Listen;
  readonly makeEngine: (settings: ProxySettings) => Promise<ProxyEngine>;
  readonly say: (line: string) => void;
}

/** Some file systems tell nothing of a change. */
const LOOK_AGAIN_MS = 2_000;

/**
 * The workspace's proxy: a client of its supervisors that turns each change of the stack into what its engine is told,
 * tells the supervisors when nothing is left of a process, and changes the engine when another one is wanted.
 */
export class ProxyHost implements Disposable {
  private readonly store = new DisposableStore();
  private readonly disposal = new AbortController();
  private readonly roster: Roster;
  private readonly joined = new WeakSet<ServiceLink>();
  /** Keys of processes whose end the engine is asked about already. */
  private readonly leaving = new Set<string>();
  private engine: ProxyEngine | undefined;
  private settings: ProxySettings | undefined;
  private told = '';
  /** The engine that could not be had; not tried again until something else is wanted. */
  private refused = '';

  /** Makes the engine agree with the settings and the stack. Changes that come meanwhile are answered by one more run. */
  private readonly follow = coalesce(() => this.followNow());

  constructor(private readonly options: ProxyHostOptions) {
    this.roster = this.store.add(new Roster(options.dir, () => []));
    this.store.add(this.roster.onChange(() => this.followSoon()));
    const watcher = this.watchSettings();
    if (watcher) this.store.add({ dispose: () => watcher.close() });
    const timer = setInterval(() => this.followSoon(), LOOK_AGAIN_MS);
    this.store.add({ dispose: () => clearInterval(timer) });
  }

  /** Settles once requests are answered. @throws where the port or the engine cannot be had */
  async start(): Promise<void> {
    const settings = await readProxySettings(this.options.dir);
    if (!settings)
      throw new UserError(`${PROXY_SETTINGS_FILE} cannot be read. Start the stack again: it is written then.`);
    await this.use(settings, await this.options.makeEngine(settings));
    await this.roster.refresh();
    await this.follow();
  }

  async stop(): Promise<void> {
    this.dispose();
    await this.engine?.stop();
  }

  dispose(): void {
    this.disposal.abort();
    this.store.dispose();
  }

  private watchSettings(): FSWatcher | undefined {
    try {
      const watcher = watch(this.options.dir, (_event, file) => {
        if (file === PROXY_SETTINGS_FILE) this.followSoon();
      });
      watcher.on('error', () => undefined);
      return watcher;
    } catch {
      return undefined;
    }
  }

  private followSoon(): void {
    if (this.disposal.signal.aborted || !this.engine) return;
    this.follow().catch((error: unknown) => this.options.say(`the proxy could not be updated: ${messageOf(error)}`));
  }

  private async followNow(): Promise<void> {
    if (this.disposal.signal.aborted) return;
    const settings = (await readProxySettings(this.options.dir)) ?? this.settings;
    if (settings && isOther(settings, this.settings)) await this.changeTo(settings);
    else if (settings) this.settings = settings;
    await this.tellEngine();
  }

  private async tellEngine(): Promise<void> {
    const { engine, settings } = this;
    if (!engine || !settings) return;
    const links = this.roster.ids.map(id => this.roster.get(id)!);
    for (const link of links) this.join(link);
    const services = links.map(link => link.snapshot).sort((a, b) => (a.id < b.id ? -1 : 1));
    const snapshot = proxySnapshotOf(services, settings);
    const text = JSON.stringify(snapshot);
    if (text !== this.told) {
      await engine.update(snapshot);
      this.told = text;
    }
    this.watchDraining(engine, services);
  }

  /** From then on the supervisor waits for this proxy before it ends a process that gets nothing new. */
  private join(link: ServiceLink): void {
    if (this.joined.has(link) || !isFronted(link.snapshot)) return;
    this.joined.add(link);
    link.front();
  }

  private watchDraining(engine: ProxyEngine, services: readonly ServiceSnapshot[]): void {
    for (const { key, pid, service } of drainingOf(services)) {
      if (this.leaving.has(key)) continue;
      this.leaving.add(key);
      engine
        .drained(key, this.disposal.signal)
        .then(() => this.roster.get(service.id)?.drained(pid))
        .catch((error: unknown) => {
          if (!isCancelled(error)) this.options.say(`${service.id}: ${messageOf(error)}`);
        })
        .finally(() => this.leaving.delete(key));
    }
  }

  private async use(settings: ProxySettings, engine: ProxyEngine): Promise<void> {
    await engine.start(this.options.listen);
    this.engine = engine;
    this.settings = settings;
    this.told = '';
    this.options.say(`${settings.engine} engine on ${this.options.listen.host}:${this.options.listen.port}`);
  }

  /** Where the engine that is wanted cannot be had, the present one goes on. */
  private async changeTo(settings: ProxySettings): Promise<void> {
    const { options, engine: before, settings: old } = this;
    const wanted = JSON.stringify(settings);
    if (wanted === this.refused) return;
    let isPortFree = false;
    try {
      // What it needs is looked for before the port is let go of.
      const next = await options.makeEngine(settings);
      await before?.stop();
      isPortFree = true;
      await this.use(settings, next);
      this.refused = '';
    } catch (error) {
      this.refused = wanted;
      options.say(`the ${settings.engine} engine cannot be used: ${messageOf(error)}`);
      if (isPortFree && old) await this.use(old, await options.makeEngine(old));
    }
  }
}

const isOther = (one: ProxySettings, other: ProxySettings | undefined): boolean =>
  one.engine !== other?.engine || one.nginxPath !== other.nginxPath;
