import type { Endpoint } from '../model/endpoints.ts';

/**
 * What every proxy engine does, whatever it is made of. An engine is told what there is (`update`) and says when what
 * it was told has taken hold; it never looks for services itself.
 */

/** One process that answers requests: a generation of a service, or one of its replicas. */
export interface Upstream {
  /** Service and generation, e.g. `api#3`; another process is another key, even on the same port. */
  readonly key: string;
  readonly host: string;
  readonly port: number;
  /** Gets no new requests; what it is answering goes on. */
  readonly draining: boolean;
}

/** All that an engine answers from. It is replaced whole, never changed. */
export interface ProxySnapshot {
  /** `workspaceId` of the folder, so that a page can tell its own HELIX from a colleague's. */
  readonly workspace: string;
  readonly upstreams: readonly Upstream[];
  readonly endpoints: readonly Endpoint[];
  /** Origins that may read answers across origins, e.g. `http://localhost:5173`; the proxy's own is always among them. */
  readonly origins: readonly string[];
  /** For upstreams that begin to drain from now on; the engine's own limit without it. */
  readonly drainMs?: number;
  /** Host names besides localhost and the loopback addresses that requests may be made to, without port. */
  readonly hosts?: readonly string[];
  /** Further Prometheus text for `/__helix/metrics`, e.g. of the services. */
  readonly metrics?: () => string;
}

/** Times in milliseconds, sizes in bytes. */
export interface ProxyLimits {
  /** How long a request waits while no upstream is healthy or its connection is refused. */
  readonly holdMs: number;
  readonly maxHeld: number;
  /** Of request heads and replayable bodies held together. */
  readonly maxHeldBytes: number;
  /** A body up to this size is kept so that an idempotent request can be sent again. */
  readonly maxReplayBytes: number;
  /** After this, requests and streams of a draining upstream are cut off. */
  readonly drainMs: number;
  readonly maxHeaderBytes: number;
  /** From a connection's first byte of a request to the end of its head. */
  readonly headersTimeoutMs: number;
  /** Without one byte of a request body. */
  readonly bodyIdleMs: number;
  /** An idle client connection between two requests. */
  readonly keepAliveMs: number;
  readonly connectMs: number;
  /** From the end of the request to the head of the upstream's answer. */
  readonly responseMs: number;
  /** Client connections at once. */
  readonly maxConnections: number;
}

export const DEFAULT_LIMITS: ProxyLimits = {
  holdMs: 10_000,
  maxHeld: 1_000,
  maxHeldBytes: 16 << 20,
  maxReplayBytes: 64 << 10,
  drainMs: 30_000,
  maxHeaderBytes: 16 << 10,
  headersTimeoutMs: 20_000,
  bodyIdleMs: 60_000,
  keepAliveMs: 75_000,
  connectMs: 5_000,
  responseMs: 300_000,
  maxConnections: 10_000,
};

export interface Listen {
  readonly host: string;
  readonly port: number;
}

export interface ProxyEngine {
  readonly kind: 'embedded' | 'nginx';

  /** Answers from then on, with 503 until `update` names an upstream. Rejects with the system's error where the port cannot be had. */
  start(listen: Listen): Promise<void>;

  /** Resolves once no new request goes to an upstream that the snapshot does not name or names as draining. */
  update(snapshot: ProxySnapshot): Promise<void>;

  /**
   * Resolves once nothing is left of that upstream: its requests are answered and its streams ended, or cut off after
   * `drainMs`. An upstream that is unknown has nothing left. Rejects with `CancelledError` when `signal` aborts.
   */
  drained(key: string, signal?: AbortSignal): Promise<void>;

  /** Stops accepting, cuts off what is open, and gives the port back. */
  stop(): Promise<void>;
}
