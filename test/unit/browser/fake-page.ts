import type { Clock } from '../../../src/base/async.ts';
import type { PortDiscovery, PortDiscoveryEvents, PortDiscoveryOptions } from '../../../src/browser/contract.ts';
import { Discovery } from '../../../src/browser/discovery.ts';
import type { Page } from '../../../src/browser/page.ts';
import { Requests } from '../../../src/browser/requests.ts';
import { ENDPOINTS_PATH, type Endpoints, HEALTH_PATH } from '../../../src/model/endpoints.ts';
import { workspaceId } from '../../../src/model/workspace-id.ts';
import { createHash } from 'node:crypto';

/** Time that passes only when nothing else is left to do. */
export class FakeClock implements Clock {
  time = 0;
  readonly #timers = new Map<number, { readonly at: number; readonly callback: () => void }>();
  #next = 1;

  now(): number {
    return this.time;
  }
  setTimeout(callback: () => void, ms: number): number {
    this.#timers.set(this.#next, { at: this.time + ms, callback });
    return this.#next++;
  }
  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }

  /** Lets time pass until the promise has settled. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const done = promise.finally(() => (over = true));
    done.catch(() => undefined);
    for (await settled(); !over; await settled())
      if (!this.#step()) throw new Error('Nothing is left that could happen.');
    return done;
  }

  /** Lets so much time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (await settled(); this.#step(end); await settled());
    this.time = end;
  }

  #step(end = Infinity): boolean {
    const [id, first] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
    if (!first || first.at > end) return false;
    this.time = Math.max(this.time, first.at);
    this.#timers.delete(id!);
    first.callback();
    return true;
  }
}

/** All that follows at once has followed: it is promises, and those come before the next turn. */
const settled = (): Promise<unknown> => new Promise(resolve => setImmediate(resolve));

/** What listens on a port of the machine; nobody else does. */
export interface Listener {
  /** Milliseconds until it answers; it accepts and never does if it hangs. */
  readonly afterMs?: number;
  readonly hangs?: boolean;
  /** Its answers by path; anything else is 404. */
  readonly answers?: Readonly<Record<string, unknown>>;
  /** Pages of other origins may not read what it answers. */
  readonly closed?: boolean;
  /** Only under this name. */
  readonly host?: string;
}

export const HEALTHY = { status: 'healthy', components: { database: 'healthy', api: 'healthy' } };

export const helix = (workspace?: string): Listener => ({
  answers: { [HEALTH_PATH]: { ...HEALTHY, ...(workspace && { workspace }) } },
});

/** The proxy of a workspace whose services listen on these ports. */
export function proxyOf(workspace: string, ports: Readonly<Record<string, number>>, healthy = true): Listener {
  const services = Object.entries(ports).map(([id, port]) => ({ id, label: id, state: 'healthy' as const, port }));
  const endpoints: Endpoints = { workspace, services };
  return { answers: { [ENDPOINTS_PATH]: endpoints, ...(healthy && { [HEALTH_PATH]: HEALTHY }) } };
}

export const hanging: Listener = { hangs: true };

/** Bands of the tests: short, so that an order can be seen. */
export const BAND = { from: 9000, to: 9009 };
export const PROXY = 9050;
export const PROXIES = { from: 9300, to: 9304 };

/** A browser with one page, and a machine with ports. */
export class FakePage implements Page {
  readonly clock = new FakeClock();
  readonly location: URL;
  readonly origin: string;
  readonly ports = new Map<number, Listener>();
  readonly metas: Record<string, string> = {};
  /** What was asked, in order: `9003/api/v1/health`. */
  readonly asked: string[] = [];
  stored: string | undefined;
  visible = true;
  online = true;
  open = 0;
  mostOpen = 0;
  #waker: (() => void) | undefined;

  constructor(location = 'http://localhost:3000/') {
    this.location = new URL(location);
    this.origin = this.location.origin;
  }

  readonly fetch: typeof fetch = (input, init) => {
    const url = new URL(input as string);
    this.asked.push(`${init?.method ? `${init.method} ` : ''}${url.port}${url.pathname}`);
    return new Promise((resolve, reject) => {
      const { signal } = init ?? {};
      const fail = (): void => reject(signal!.reason as Error);
      if (signal?.aborted) return fail();
      this.mostOpen = Math.max(this.mostOpen, ++this.open);
      const end = (): unknown => this.open--;
      signal?.addEventListener('abort', () => (fail(), end()), { once: true });
      const listener = this.ports.get(Number(url.port));
      if (!listener || (listener.host && listener.host !== url.hostname)) return reject(new TypeError('refused'));
      if (listener.hangs) return;
      const isCross = url.origin !== this.location.origin;
      const answer = (): void => {
        if (listener.closed && isCross && init?.mode !== 'no-cors') reject(new TypeError('CORS'));
        else resolve(responseOf(listener.answers?.[url.pathname], url.port));
      };
      this.clock.setTimeout(answer, listener.afterMs ?? 1);
    });
  };

  random = (): number => 0.5;
  meta = (name: string): string | undefined => this.metas[name];
  recall = (): string | undefined => this.stored;
  remember = (text: string): void => void (this.stored = text);
  digest = (text: string): Promise<string> => Promise.resolve(createHash('sha256').update(text).digest('hex'));
  isVisible = (): boolean => this.visible;
  onWake(listener: () => void): () => void {
    this.#waker = listener;
    return () => (this.#waker = undefined);
  }

  wake(): void {
    this.#waker?.();
  }

  discovery(options: PortDiscoveryOptions = {}): Discovery {
    const own = { band: BAND, proxyPort: PROXY, proxyBand: PROXIES };
    return new Discovery({ ...own, ...options }, this, new Requests(this));
  }

  /** The address that is found. */
  find(options: PortDiscoveryOptions = {}): Promise<string> {
    const discovery = this.discovery(options);
    return this.clock.settle(discovery.discoverApiEndpoint()).finally(() => discovery.close());
  }
}

function responseOf(body: unknown, port: string): Response {
  const headers = new Headers({ 'content-type': 'application/json; charset=utf-8', 'x-port': port });
  return {
    ok: body !== undefined,
    status: body === undefined ? 404 : 200,
    headers,
    json: () => Promise.resolve(body),
  } as Response;
}

/** The names of the events in order, with the address where there is one. */
export function eventsOf(discovery: Discovery): string[] {
  const said: string[] = [];
  const listen = (discovery as unknown as PortDiscovery).addEventListener.bind(discovery);
  listen('found', ({ detail }) => said.push(`found ${detail.base} by ${detail.by}`));
  listen('lost', ({ detail }) => said.push(`lost ${detail.base}`));
  listen('moved', ({ detail }) => said.push(`moved ${detail.previous.base} to ${detail.api.base}`));
  for (const type of ['notFound', 'ambiguous'] satisfies (keyof PortDiscoveryEvents)[])
    listen(type, () => said.push(type));
  return said;
}

export const idOf = workspaceId;
