import { within } from '../base/async.ts';
import type { FoundApi, FoundBy, PortRange } from './contract.ts';
import { Failure } from './failure.ts';
import { folderIds, isLoopback, type Page } from './page.ts';
import { first, firstStage } from './race.ts';
import type { Limits, Requests } from './requests.ts';
import type { Settings } from './settings.ts';

/** How long a better place is waited for before the next is tried beside it. */
const HEAD_START_MS = 150;
/** How long one name of this machine is waited for before another is tried on the same port as well. */
const OTHER_HOST_MS = 250;
/** How much longer, once the other one has answered. */
const PREFERRED_HOST_MS = 1_000;

/** `witness`: the proxy that said whose the API is, where the API itself does not. */
export interface Found extends FoundApi {
  readonly witness?: string | undefined;
}

export interface SearchOptions {
  readonly page: Page;
  readonly settings: Settings;
  readonly requests: Requests;
  /** The workspace whose API alone will do, where it is known for certain. */
  readonly expected: string | undefined;
  /** What this page's origin used last. */
  readonly remembered: FoundApi | undefined;
  /** Find out why nothing was found, at the price of asking all ports once more. */
  readonly explain: boolean;
  readonly signal: AbortSignal;
}

/**
 * One search for the API. HELIX's health is the same for every developer's, so whose an API is comes from elsewhere: the
 * page's own origin, the proxies, which say whose they are and where their services listen, or the API, should it say so.
 * What is known to be ours is taken at once; what could be anybody's only when all have been asked and it is the only one.
 */
export class Search {
  readonly #options: SearchOptions;
  readonly #limits: Limits;
  readonly #over = new AbortController();
  /** What answers, and may be anybody's for all that is known yet. */
  readonly #answers: Found[] = [];
  /** What the proxies say whose ports are. */
  readonly #owners = new Map<number, Pick<Found, 'workspace' | 'witness'>>();
  /** The ids of which one is this page's workspace; empty if nothing is known about it. */
  #ours: ReadonlySet<string>;

  constructor(options: SearchOptions) {
    this.#options = options;
    const signal = AbortSignal.any([options.signal, this.#over.signal]);
    this.#limits = { timeoutMs: options.settings.portTimeoutMs, signal };
    this.#ours = new Set(options.expected ? [options.expected] : []);
  }

  /** Rejects with a `Failure`, or with the signal's reason. */
  async run(): Promise<Found> {
    const { signal, page, settings } = this.#options;
    const end = (): void => this.#over.abort();
    const timer = page.clock.setTimeout(end, settings.totalTimeoutMs);
    try {
      const found = (await this.#given()) ?? (await this.#elsewhere());
      signal.throwIfAborted();
      return found ?? (await this.#decide());
    } finally {
      page.clock.clearTimeout(timer);
      end();
    }
  }

  async #elsewhere(): Promise<Found | undefined> {
    const { page, settings } = this.#options;
    if (this.#ours.size === 0) this.#ours = await folderIds(page);
    const stages = [
      () => this.#ownOrigin(),
      () => this.#onPort(settings.proxyPort, this.#proxy),
      () => this.#remembered(),
      () => this.#everywhere(),
    ];
    return firstStage(stages, HEAD_START_MS, page.clock);
  }

  /** What the page was told. An API elsewhere that is down is no reason to take one of this machine. */
  async #given(): Promise<Found | undefined> {
    const { apiBase } = this.#options.settings;
    const found = apiBase && (await this.#at(apiBase, 'given'));
    if (found || !apiBase || isLoopback(new URL(apiBase).hostname)) return found || undefined;
    throw new Failure('notFound', `No HELIX API answers at ${apiBase}, which this page was given.`);
  }

  async #ownOrigin(): Promise<Found | undefined> {
    const { origin } = this.#options.page;
    return origin === 'null' ? undefined : this.#at(origin, 'origin');
  }

  /** The last one is taken at once only if it was known to be ours, and says again whose it is. */
  async #remembered(): Promise<Found | undefined> {
    const { remembered } = this.#options;
    if (!remembered?.workspace || !this.#isOurs(remembered)) return undefined;
    const found = await this.#at(remembered.base, 'remembered');
    return found?.workspace === remembered.workspace ? found : undefined;
  }

  /** A place that need not say whose it is; but what it says counts. */
  async #at(base: string, by: FoundBy): Promise<Found | undefined> {
    const { requests, expected } = this.#options;
    const health = await requests.health(base, this.#limits);
    if (!health) return undefined;
    let { workspace } = health;
    let witness: string | undefined;
    if (!workspace && (expected || by === 'remembered')) {
      workspace = (await requests.endpoints(base, this.#limits))?.workspace;
      witness = base;
    }
    return expected && workspace && workspace !== expected ? undefined : { base, by, workspace, witness };
  }

  #everywhere(): Promise<Found | undefined> {
    const { band, proxyBand, proxyPort } = this.#options.settings;
    return first([
      ...portsOf(proxyBand).map(port => this.#onPort(port, this.#proxy)),
      ...portsOf(band, proxyPort).map(port => this.#onPort(port, this.#direct)),
    ]);
  }

  /** Looks at a port by each name of its machine: `localhost` may be another listener than 127.0.0.1. */
  #onPort(port: number, look: (base: string) => Promise<Found | undefined>): Promise<Found | undefined> {
    const { settings, page } = this.#options;
    const [preferred, ...others] = settings.hosts.map(host => `http://${host}:${port}`);
    if (!preferred) return Promise.resolve(undefined);
    const best = look(preferred);
    const bestWithin = (ms: number): Promise<Found | undefined> => within(ms, best, page.clock);
    const tryOther = async (base: string): Promise<Found | undefined> => {
      const found = (await bestWithin(OTHER_HOST_MS)) ?? (await look(base));
      return found && ((await bestWithin(PREFERRED_HOST_MS)) ?? found);
    };
    return first([best, ...others.map(tryOther)]);
  }

  readonly #direct = async (base: string): Promise<Found | undefined> => {
    const health = await this.#options.requests.health(base, this.#limits);
    return health && this.#weigh({ base, by: this.#kindOf(base, 'band'), workspace: health.workspace });
  };

  readonly #proxy = async (base: string): Promise<Found | undefined> => {
    const { requests, page } = this.#options;
    const endpoints = await requests.endpoints(base, this.#limits);
    if (!endpoints) return undefined;
    const { workspace } = endpoints;
    const owner = { workspace, witness: base };
    const ports = endpoints.services.map(({ port }) => port ?? 0);
    for (const port of [portOf(base), ...ports]) this.#owners.set(port, owner);
    // The page's own port may be among them: it is then that workspace's development server which sent the page.
    const { hostname, port } = page.location;
    if (this.#ours.size === 0 && isLoopback(hostname) && ports.includes(Number(port)))
      this.#ours = new Set([workspace]);
    if (this.#isForeign(owner) || !(await requests.health(base, this.#limits))) return undefined;
    return this.#weigh({ ...owner, base, by: this.#kindOf(base, 'endpoints') });
  };

  #kindOf(base: string, kind: FoundBy): FoundBy {
    return portOf(base) === this.#options.settings.proxyPort ? 'proxy' : kind;
  }

  /** Ours is taken; what may be ours is kept until all have been asked. */
  #weigh(found: Found): Found | undefined {
    if (this.#isOurs(found)) return found;
    this.#answers.push(found);
    return undefined;
  }

  #isOurs({ workspace }: Pick<Found, 'workspace'>): boolean {
    return workspace !== undefined && this.#ours.has(workspace);
  }

  #isForeign({ workspace }: Pick<Found, 'workspace'>): boolean {
    const { expected, settings } = this.#options;
    if (expected) return workspace !== expected;
    return workspace !== undefined && !settings.anyWorkspace && this.#ours.size > 0 && !this.#ours.has(workspace);
  }

  /** All have been asked, and none was known to be ours when it answered. */
  async #decide(): Promise<Found> {
    const { settings, remembered } = this.#options;
    const all = this.#answers.map(found =>
      found.workspace ? found : { ...found, ...this.#owners.get(portOf(found.base)) },
    );
    all.sort((one, other) => ORDER.indexOf(one.by) - ORDER.indexOf(other.by));
    // The best one of each owner; a port without one is its own.
    const owners = all.map(({ workspace, base }) => workspace ?? portOf(base));
    const possible = all.filter((one, index) => owners.indexOf(owners[index]!) === index && !this.#isForeign(one));
    const found =
      possible.find(one => this.#isOurs(one)) ??
      (possible.length === 1 || settings.anyWorkspace ? possible[0] : undefined) ??
      possible.find(({ workspace }) => workspace !== undefined && workspace === remembered?.workspace);
    if (found) return found;
    if (possible.length === 0) throw await this.#notFound(all);
    throw new Failure(
      'ambiguous',
      `Several HELIX APIs answer, and any may be this page's: ${listOf(possible)}. ` +
        'Open the page from one of them, or name its workspace in <meta name="helix-workspace">.',
      possible,
    );
  }

  async #notFound(others: readonly Found[]): Promise<Failure> {
    const { explain, settings, page } = this.#options;
    const unreadable = explain ? await this.#unreadable(others) : [];
    const reasons = [
      `No HELIX API was found for this page on ports ${settings.band.from}-${settings.band.to}.`,
      others.length > 0 && `Not known to be of its workspace: ${listOf(others)}.`,
      unreadable.length > 0 &&
        `Not readable: ${unreadable.join(', ')}. If it is the API, add ${page.origin} to its ALLOWED_ORIGINS.`,
    ];
    return new Failure('notFound', reasons.filter(Boolean).join(' '), others, unreadable);
  }

  /** A browser tells a page no more of an answer it may not read than of none; only that there was one can be found out. */
  async #unreadable(others: readonly Found[]): Promise<string[]> {
    const { settings, requests, page } = this.#options;
    const known = [page.origin, ...others.map(({ base }) => base)];
    const hosts = settings.hosts.slice(0, 1);
    const bases = portsOf(settings.band).flatMap(port => hosts.map(host => `http://${host}:${port}`));
    const answering = await Promise.all(
      bases.map(async base => !known.includes(base) && (await requests.answers(base, this.#limits))),
    );
    return bases.filter((_, index) => answering[index]);
  }
}

const ORDER: readonly FoundBy[] = ['given', 'origin', 'proxy', 'remembered', 'endpoints', 'band'];

function portsOf({ from, to }: PortRange, ...more: readonly number[]): number[] {
  const ports = new Set(more);
  for (let port = from; port <= to; port++) ports.add(port);
  return [...ports];
}

const portOf = (base: string): number => Number(new URL(base).port);

const listOf = (apis: readonly FoundApi[]): string => apis.map(({ base }) => base).join(', ');
