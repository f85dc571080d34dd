import { Agent } from 'node:http';
import { Pool } from 'undici';
import { type Clock, throwIfAborted, type TimerHandle } from '../base/async.ts';
import { Emitter } from '../base/event.ts';
import { CancelledError } from '../base/errors.ts';
import { hostInUrl } from './addresses.ts';
import type { ProxyLimits, Upstream } from './engine.ts';
import { type InFlight, InFlightList } from './in-flight.ts';

/** How an attempt went wrong: no connection came about, or one did and then something else than an answer came. */
export type Failure = 'unreachable' | 'broken';

/**
 * One upstream with its connections. Those for requests without a body are undici's, which is twice as fast; the others
 * are `node:http`'s, which sends trailers and awaits 100-continue.
 */
export class PooledUpstream {
  readonly connections: Pool;
  readonly agent: Agent;
  /** Requests and streams that it is answering. */
  readonly inFlight = new InFlightList();
  draining = false;
  /** Cuts off what is left after the drain's limit. */
  drainTimer: TimerHandle;
  /** Failures since its last answer. */
  failures = 0;
  /** Why it takes no requests; undefined when it is well. */
  outFor: Failure | undefined;
  /** It has been out long enough for one request to find out. */
  isDue = false;
  /** How long it was last taken out for. */
  backoffMs = 0;
  /** One request finds out whether an upstream that was taken out is back. */
  trial: InFlight | undefined;

  constructor(
    readonly upstream: Upstream,
    limits: ProxyLimits,
  ) {
    this.connections = new Pool(`http://${hostInUrl(upstream.host)}:${upstream.port}`, {
      connect: { timeout: limits.connectMs },
      headersTimeout: limits.responseMs,
      // Streams of events are silent for as long as nothing happens.
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      maxHeaderSize: limits.maxHeaderBytes * RESPONSE_HEAD_FACTOR,
    });
    this.agent = new Agent({ keepAlive: true, timeout: IDLE_BEFORE_BODY_MS, scheduling: 'lifo' });
  }

  async close(): Promise<void> {
    this.agent.destroy();
    await this.connections.destroy();
  }
}

/** Servers close idle connections after 5 s (Node, uvicorn); undici keeps 2 s distance of what they announce. */
const IDLE_MS = 4_000;
/** A POST cannot be sent again, so it never goes out on a connection that its server may be closing (gunicorn: after 2 s). */
const IDLE_BEFORE_BODY_MS = 1_000;
/** Answers may set more cookies than a request may bring. */
const RESPONSE_HEAD_FACTOR = 4;

const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 1_000;
/** So many broken answers in a row, and others answer instead. */
const BROKEN_MAX = 3;

export interface PickOptions {
  /** Already tried in vain for this request; taken only where there is no other. */
  readonly tried: ReadonlySet<PooledUpstream> | undefined;
  /** Whether the request may be spent on an upstream of which nobody knows whether it is back. */
  readonly mayTry: boolean;
}

export interface PoolEvents {
  /** Everyone who waits can go on. */
  onAvailable(): void;
  /** One who waits may try an upstream that had been taken out. */
  onTrialDue(): void;
}

/** The upstreams: which one is next (the one with the fewest requests in flight), which are out, which are draining. */
export class UpstreamPool {
  /** Also those that the last snapshot does not name any more, until nothing of them is in flight. */
  private members: PooledUpstream[] = [];
  private active: readonly PooledUpstream[] = [];
  private turn = 0;
  private readonly emptied = new Emitter<PooledUpstream>();

  constructor(
    private readonly limits: ProxyLimits,
    private readonly clock: Clock,
    private readonly events: PoolEvents,
  ) {}

  get all(): readonly PooledUpstream[] {
    return this.members;
  }

  /** Those that take requests, also when they are out just now. */
  get accepting(): readonly PooledUpstream[] {
    return this.active;
  }

  /** `drainMs`: the limit of those that begin to drain now; what is draining already keeps its own. */
  update(upstreams: readonly Upstream[], drainMs?: number): void {
    const named = new Set<PooledUpstream>();
    for (const upstream of upstreams) {
      const member = this.members.find(one => isSame(one.upstream, upstream)) ?? this.add(upstream);
      named.add(member);
      this.setDraining(member, upstream.draining, drainMs);
    }
    for (const member of this.members) {
      if (!named.has(member)) this.setDraining(member, true, drainMs);
    }
    this.members = this.members.filter(one => named.has(one) || one.inFlight.size > 0 || this.discard(one));
    this.active = this.members.filter(one => !one.draining);
    if (this.active.length) this.events.onAvailable();
  }

  /** The upstream for the next request; undefined while there is none that might answer. */
  pick({ tried, mayTry }: PickOptions): PooledUpstream | undefined {
    const { active } = this;
    const first = active.length > 1 ? this.turn++ % active.length : 0;
    let best: PooledUpstream | undefined;
    let again: PooledUpstream | undefined;
    let due: PooledUpstream | undefined;
    for (let i = 0; i < active.length; i++) {
      const one = active[(first + i) % active.length]!;
      if (one.outFor) {
        if (one.isDue && !one.trial) due ??= one;
      } else if (tried?.has(one)) again = fewer(again, one);
      else best = fewer(best, one);
    }
    if (due && (mayTry || !(best ?? again))) return due;
    return best ?? again;
  }

  enter(member: PooledUpstream, request: InFlight): void {
    member.inFlight.add(request);
    if (member.outFor) member.trial = request;
  }

  /** The request has left this upstream, with an answer or without. */
  leave(member: PooledUpstream, request: InFlight): void {
    member.inFlight.delete(request);
    if (member.trial === request) {
      // It was given up before it could tell.
      member.trial = undefined;
      this.events.onTrialDue();
    }
    if (member.draining && member.inFlight.size === 0) this.emptied.fire(member);
  }

  /** A connection came about. */
  reached(member: PooledUpstream): void {
    if (member.outFor === 'unreachable') this.bringBack(member);
  }

  answered(member: PooledUpstream): void {
    member.failures = 0;
    if (member.outFor) this.bringBack(member);
  }

  failed(member: PooledUpstream, failure: Failure): void {
    member.failures++;
    const isOut = failure === 'unreachable' || (member.failures >= BROKEN_MAX && this.active.length > 1);
    if (!isOut) return;
    // The others in flight only tell the same news.
    if (member.outFor && !member.isDue) return;
    member.backoffMs = member.outFor ? Math.min(BACKOFF_MAX_MS, member.backoffMs * 2) : BACKOFF_FIRST_MS;
    member.outFor = failure;
    member.isDue = false;
    member.trial = undefined;
    this.clock.setTimeout(() => {
      if (!member.outFor) return;
      member.isDue = true;
      this.events.onTrialDue();
    }, member.backoffMs);
  }

  /** Resolves once nothing is in flight at the upstreams of that key; they are cut off after `drainMs`. */
  async drained(key: string, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const left = (): boolean => this.members.some(one => one.upstream.key === key && one.inFlight.size > 0);
    if (!left()) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        listening.dispose();
        reject(new CancelledError());
      };
      const listening = this.emptied.event(() => {
        if (left()) return;
        listening.dispose();
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  async close(): Promise<void> {
    const { members } = this;
    this.active = [];
    for (const member of members) {
      this.setDraining(member, true);
      cutAll(member, 'the proxy stops');
    }
    this.members = [];
    await Promise.all(members.map(member => this.release(member)));
  }

  private add(upstream: Upstream): PooledUpstream {
    const member = new PooledUpstream(upstream, this.limits);
    this.members.push(member);
    return member;
  }

  private setDraining(member: PooledUpstream, draining: boolean, drainMs = this.limits.drainMs): void {
    if (member.draining === draining) return;
    member.draining = draining;
    this.clock.clearTimeout(member.drainTimer);
    if (!draining) return;
    member.drainTimer = this.clock.setTimeout(() => cutAll(member, `not done after ${drainMs} ms`), drainMs);
  }

  /** Gives back its connections; answers false, being what `filter` asks. */
  private discard(member: PooledUpstream): false {
    void this.release(member);
    return false;
  }

  private async release(member: PooledUpstream): Promise<void> {
    this.clock.clearTimeout(member.drainTimer);
    await member.close();
  }

  private bringBack(member: PooledUpstream): void {
    member.outFor = undefined;
    member.isDue = false;
    member.trial = undefined;
    if (!member.draining) this.events.onAvailable();
  }
}

const isSame = (one: Upstream, other: Upstream): boolean =>
  one.key === other.key && one.host === other.host && one.port === other.port;

const fewer = (one: PooledUpstream | undefined, other: PooledUpstream): PooledUpstream =>
  one && one.inFlight.size <= other.inFlight.size ? one : other;

function cutAll(member: PooledUpstream, reason: string): void {
  for (const request of member.inFlight.snapshot()) request.cut(reason);
}
