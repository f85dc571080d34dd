import type { TimerHandle } from '../base/async.ts';
import type { FoundApi, PortDiscovery, PortDiscoveryEvents, PortDiscoveryOptions } from './contract.ts';
import { Failure } from './failure.ts';
import type { Page } from './page.ts';
import { unlessAborted } from './race.ts';
import type { Requests } from './requests.ts';
import { type Found, Search } from './search.ts';
import { type Settings, settingsOf } from './settings.ts';

/** What was seen so lately is not asked for again, milliseconds. */
const FRESH_MS = 1_000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 30_000;
/** While calls wait. */
const LONGEST_BUSY_RETRY_MS = 1_000;
/** Calls that mean the same when they arrive twice (RFC 9110, 9.2.2). */
const IDEMPOTENT = /^(GET|HEAD|OPTIONS|PUT|DELETE)$/i;

/** Keeps one connection to the API: finds it, looks after it, and finds it again. */
export class Discovery extends EventTarget implements Omit<PortDiscovery, 'addEventListener'> {
  #options: PortDiscoveryOptions;
  readonly #page: Page;
  readonly #requests: Requests;
  #settings: Settings | undefined;
  #found: Found | undefined;
  #previous: Found | undefined;
  /** Whose the first one was, if it could be told: from then on no other workspace's will do. */
  #workspace: string | undefined;
  #checkedAt = 0;
  #failures = 0;
  /** Calls that wait for an API. */
  #waiting = 0;
  #searching: Promise<Found> | undefined;
  #checking: Promise<boolean> | undefined;
  #timer: TimerHandle;
  #stopWaking: (() => void) | undefined;
  readonly #closing = new AbortController();

  constructor(options: PortDiscoveryOptions, page: Page, requests: Requests) {
    super();
    this.#options = options;
    this.#page = page;
    this.#requests = requests;
  }

  get api(): FoundApi | undefined {
    return this.#found;
  }

  configure(options: PortDiscoveryOptions): void {
    this.#options = { ...this.#options, ...options };
    this.#settings = undefined;
  }

  async discoverApiEndpoint({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<string> {
    const find = async (): Promise<Found> => ((await this.#isThere(FRESH_MS)) && this.#found) || this.#attempt();
    return (await unlessAborted(find(), signal)).base;
  }

  buildUrl(path: string): string {
    return this.#found ? this.#found.base + (path.startsWith('/') ? path : `/${path}`) : path;
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const { signal } = init;
    // What is not to be asked for twice is not sent to where nobody may be any more.
    const once = !IDEMPOTENT.test(init.method ?? 'GET') || init.body instanceof ReadableStream;
    await this.#ready(signal, once ? 0 : FRESH_MS);
    try {
      return await this.#page.fetch(this.buildUrl(path), init);
    } catch (error) {
      // With the API where it was, the failure is the call's own; and what may have been carried out is left to the caller.
      if (once || signal?.aborted || this.#closing.signal.aborted || (await this.#isThere(0))) throw error;
    }
    await this.#ready(signal, 0);
    return this.#page.fetch(this.buildUrl(path), init);
  }

  close(): void {
    this.#closing.abort();
    this.#stopWaking?.();
    this.#stopWaking = undefined;
    this.#page.clock.clearTimeout(this.#timer);
  }

  /** Waits for an API as long as a call may. */
  async #ready(signal: AbortSignal | null | undefined, age: number): Promise<void> {
    if (await unlessAborted(this.#isThere(age), signal)) return;
    const over = new AbortController();
    this.#waiting++;
    try {
      await unlessAborted(
        this.#nextFound(over.signal),
        AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]),
      );
    } finally {
      over.abort();
      this.#waiting--;
    }
  }

  #nextFound(signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { clock } = this.#page;
      const late = new Failure('notFound', 'No HELIX API was found in time.');
      const timer = clock.setTimeout(() => reject(late), this.#read().queueMs);
      signal.addEventListener('abort', () => clock.clearTimeout(timer));
      this.addEventListener('found', resolve, { signal });
      this.addEventListener('ambiguous', event => reject((event as CustomEvent<Failure>).detail), { signal });
      // Now, whatever the last failure's backoff was.
      this.#tick();
    });
  }

  /** Whether what was found answers, and still is what it was. If not, the search is on. */
  async #isThere(age: number): Promise<boolean> {
    const found = this.#found;
    if (!found || this.#page.clock.now() - this.#checkedAt < age) return found !== undefined;
    this.#checking ??= this.#check(found).finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  async #check(found: Found): Promise<boolean> {
    const { signal } = this.#closing;
    const same = await this.#isSame(found, signal);
    if (signal.aborted || this.#found !== found) return this.#found !== undefined && !signal.aborted;
    if (same) {
      this.#checkedAt = this.#page.clock.now();
      this.#schedule();
      return true;
    }
    this.#previous = found;
    this.#found = undefined;
    this.#emit('lost', found);
    this.#tick();
    return false;
  }

  async #isSame({ base, workspace, witness }: Found, signal: AbortSignal): Promise<boolean> {
    const limits = { timeoutMs: this.#read().portTimeoutMs, signal };
    const [health, endpoints] = await Promise.all([
      this.#requests.health(base, limits),
      witness === undefined ? undefined : this.#requests.endpoints(witness, limits),
    ]);
    if (!health || workspace === undefined) return health !== undefined;
    if (witness === undefined) return health.workspace === workspace;
    const isListed = witness === base || endpoints?.services.some(({ port }) => port === Number(new URL(base).port));
    return endpoints?.workspace === workspace && isListed === true;
  }

  #attempt(): Promise<Found> {
    if (this.#searching) return this.#searching;
    this.#stopWaking ??= this.#page.onWake(() => {
      this.#failures = 0;
      this.#tick();
    });
    return (this.#searching = this.#search().finally(() => {
      this.#searching = undefined;
      this.#schedule();
    }));
  }

  async #search(): Promise<Found> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    const settings = this.#read();
    const search = new Search({
      page: this.#page,
      settings,
      requests: this.#requests,
      expected: settings.workspace ?? (settings.anyWorkspace ? undefined : this.#workspace),
      remembered: recall(this.#page),
      explain: this.#failures === 0,
      signal,
    });
    try {
      const found = await search.run();
      this.#connect(found);
      return found;
    } catch (error) {
      this.#failures++;
      if (error instanceof Failure) this.#emit(error.kind, error);
      throw error;
    }
  }

  #connect(found: Found): void {
    this.#found = found;
    this.#workspace ??= found.workspace;
    this.#checkedAt = this.#page.clock.now();
    this.#failures = 0;
    const { base, by, workspace } = found;
    this.#page.remember(JSON.stringify({ base, by, workspace }));
    this.#emit('found', found);
    const previous = this.#previous;
    this.#previous = undefined;
    if (previous && previous.base !== base) this.#emit('moved', { api: found, previous });
  }

  /** A page that nobody looks at asks for nothing, unless calls wait; `onWake` makes up for it. */
  #schedule(): void {
    const { clock } = this.#page;
    clock.clearTimeout(this.#timer);
    if (this.#closing.signal.aborted || (!this.#page.isVisible() && this.#waiting === 0)) return;
    this.#timer = clock.setTimeout(() => this.#tick(), this.#found ? this.#read().checkEveryMs : this.#retryMs());
  }

  /** Exponential backoff with equal jitter, as the services' own restarts have. */
  #retryMs(): number {
    const longest = this.#waiting > 0 ? LONGEST_BUSY_RETRY_MS : LONGEST_RETRY_MS;
    const full = Math.min(longest, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
    return full / 2 + (full / 2) * this.#page.random();
  }

  /** Failures are told by events. */
  #tick(): void {
    const step = this.#found ? this.#isThere(0) : this.#attempt();
    step.catch(error => {
      if (!(error instanceof Failure || this.#closing.signal.aborted)) console.error(error);
    });
  }

  #read(): Settings {
    return (this.#settings ??= settingsOf(this.#options, this.#page));
  }

  #emit<K extends keyof PortDiscoveryEvents>(type: K, detail: PortDiscoveryEvents[K]): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function recall(page: Page): FoundApi | undefined {
  try {
    const value = JSON.parse(page.recall() ?? 'null') as Partial<FoundApi> | null;
    // The address has to be one: storage can hold anything.
    return value?.base && URL.canParse(value.base) ? (value as FoundApi) : undefined;
  } catch {
    return undefined;
  }
}
