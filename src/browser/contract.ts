/**
 * What `port-discovery.js` offers to pages. This file is shipped beside it as `port-discovery.d.ts`, so it holds
 * declarations only.
 */

/** How an API was found, in the order in which they are preferred. */
export type FoundBy = 'given' | 'origin' | 'proxy' | 'remembered' | 'endpoints' | 'band';

export interface FoundApi {
  /** Its address without a slash at the end, such as `http://127.0.0.1:8023`. */
  readonly base: string;
  readonly by: FoundBy;
  /** The id of its workspace, where it is known. */
  readonly workspace?: string | undefined;
}

/** An inclusive range of ports. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Every option has a default. Those marked so can be given by `<meta name="…" content="…">` as well. */
export interface PortDiscoveryOptions {
  /** `<meta name="helix-api-base">`. One on this machine that does not answer is passed over; any other is final. */
  readonly apiBase?: string;
  /** `<meta name="helix-workspace">`: the id of the one workspace whose API will do. */
  readonly workspace?: string;
  /** Where APIs are. */
  readonly band?: PortRange;
  /** Where the stable proxy is. */
  readonly proxyPort?: number;
  /** Where the proxies of further workspaces are. */
  readonly proxyBand?: PortRange;
  /** Where to look for ports: this machine for a page from it, the page's own host for one from the local network. */
  readonly hosts?: readonly string[];
  /** Take what is found first in the order of preference where several workspaces answer and none is known to be ours. */
  readonly anyWorkspace?: boolean;
  /** Limit for one answer, milliseconds. */
  readonly portTimeoutMs?: number;
  /** Limit for a whole search, milliseconds. */
  readonly totalTimeoutMs?: number;
  /** How often the API is looked after while the page is visible, milliseconds. */
  readonly checkEveryMs?: number;
  /** How long a call waits for an API, milliseconds. */
  readonly queueMs?: number;
}

/**
 * `notFound`: nothing answered that will do. `ambiguous`: several did, and nothing tells which one is this page's.
 */
export interface DiscoveryError extends Error {
  readonly name: 'DiscoveryError';
  readonly kind: 'notFound' | 'ambiguous';
  /** The HELIX APIs that answered and were not taken. */
  readonly candidates: readonly FoundApi[];
  /** Addresses that answer, and do not let this page's origin read what. */
  readonly unreadable: readonly string[];
}

/** The `detail` of each event. */
export interface PortDiscoveryEvents {
  /** There is an API to call, at first and each time after it was lost. */
  readonly found: FoundApi;
  /** It is at another address than before; comes after `found`. */
  readonly moved: { readonly api: FoundApi; readonly previous: FoundApi };
  /** It no longer answers, or another workspace's does in its place. It is being looked for. */
  readonly lost: FoundApi;
  readonly ambiguous: DiscoveryError;
  readonly notFound: DiscoveryError;
}

export interface PortDiscovery extends EventTarget {
  /** What was found, while it answers. */
  readonly api: FoundApi | undefined;
  /** Changes options, from the next search on. */
  configure(options: PortDiscoveryOptions): void;
  /** The address of the API. Looks for it unless it is known; rejects with a `DiscoveryError`, or with the signal's reason. */
  discoverApiEndpoint(options?: { readonly signal?: AbortSignal | undefined }): Promise<string>;
  /** The address of a path of the API; the path itself as long as none is found. */
  buildUrl(path: string): string;
  /**
   * `fetch` on a path of the API, wherever that is: waits while it is being looked for. A call that got no answer since the API
   * moved is made again, unless it was one that must not be made twice, such as a POST.
   */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Ends everything that goes on by itself. */
  close(): void;

  addEventListener<K extends keyof PortDiscoveryEvents>(
    type: K,
    listener: (event: CustomEvent<PortDiscoveryEvents[K]>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export interface PortDiscoveryConstructor {
  new (options?: PortDiscoveryOptions): PortDiscovery;
}

declare global {
  interface Window {
    PortDiscovery: PortDiscoveryConstructor;
    /** The one that the functions below use. */
    helixApi: PortDiscovery;
    /** Whether an API was found; from then on it is kept an eye on. */
    initializeHelixApi(options?: PortDiscoveryOptions & { readonly signal?: AbortSignal }): Promise<boolean>;
    /** Empty as long as none is found. */
    getHelixApiBase(): string;
    buildHelixApiUrl(path: string): string;
  }
}
