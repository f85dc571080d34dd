import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerProblem } from './answer.ts';
import type { Front } from './front.ts';
import type { Waiting } from './hold-queue.ts';
import type { InFlight } from './in-flight.ts';
import type { Problem } from './pages.ts';
import { brokenUpstream, noUpstream, tooManyHeld } from './problems.ts';
import type { RequestHead } from './request-head.ts';
import type { Failure, PooledUpstream } from './upstream-pool.ts';

/** RFC 9110, 9.2.2: having asked twice is like having asked once. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method);

/** Before the second attempt, the third, the fourth; after that the upstream is called broken. */
const RETRY_DELAYS_MS = [0, 50, 250];

/**
 * One request on its way through: it is given to an upstream, to another if that one fails before anything came back,
 * or waits for one. How it is sent is up to the subclass.
 *
 * A request that is known not to have been sent goes to another upstream whatever it is. One that may have been
 * carried out is sent again only if it is idempotent and its body is still at hand.
 */
export abstract class Exchange implements InFlight, Waiting {
  place = -1;
  private upstream: PooledUpstream | undefined;
  private tried: Set<PooledUpstream> | undefined;
  private retries = 0;
  /** When it stops waiting, 0 if it never waited. */
  private deadline = 0;
  private isHeld = false;
  private isSent = false;
  private isOver = false;
  private readonly began: number;

  constructor(
    protected readonly front: Front,
    protected readonly request: IncomingMessage,
    protected readonly response: ServerResponse,
    protected readonly head: RequestHead,
  ) {
    this.began = performance.now();
  }

  /** Whether nobody waits for its answer any more. */
  protected get over(): boolean {
    return this.isOver;
  }

  /** Whether the present attempt has got a connection. */
  protected get isConnected(): boolean {
    return this.isSent;
  }

  start(): void {
    this.front.metrics.inFlight++;
    this.response.on('close', () => this.clientLeft());
    this.next();
  }

  /** A rough count is enough: it bounds memory. */
  get bytes(): number {
    const { fields, path } = this.head;
    return path.length + fields.reduce((sum, text) => sum + text.length, 0);
  }

  onTurn(): void {
    this.isHeld = false;
    this.next();
  }

  onExpired(): void {
    this.isHeld = false;
    this.fail(noUpstream(this.front.limits.holdMs));
  }

  cut(_reason: string): void {
    if (this.isOver) return;
    this.end(this.response.headersSent ? this.response.statusCode : 0);
    this.abandon();
    this.cutClient();
  }

  /** Begins an attempt; its outcome is told by `sent`, `answered`, `completed` or `failed`. */
  protected abstract send(upstream: PooledUpstream): void;

  /** Gives the present attempt up; nothing of it is wanted any more. */
  protected abstract abandon(): void;

  /** Whether all that was read of the body can be sent once more. */
  protected abstract readonly isReplayable: boolean;

  /** A connection is there, and from now on the upstream may have seen the request. */
  protected sent(): void {
    this.isSent = true;
    if (this.upstream) this.front.pool.reached(this.upstream);
  }

  /** The head of the final answer is here. */
  protected answered(): void {
    if (this.upstream) this.front.pool.answered(this.upstream);
  }

  /** The answer has been passed on whole. */
  protected completed(): void {
    if (!this.isOver) this.end(this.response.statusCode);
  }

  /** The attempt came to nothing. `mayRetry` is false where something had come back. */
  protected failed(failure: Failure, problem: Problem, mayRetry: boolean): void {
    const { upstream } = this;
    if (this.isOver || !upstream) return;
    this.upstream = undefined;
    this.front.pool.failed(upstream, failure);
    this.front.pool.leave(upstream, this);
    if (this.response.headersSent) return this.breakOff();
    // Never from within the client library's own callback: the next attempt may be on the very connection that fails.
    if (failure === 'unreachable' || !this.isSent) return void setImmediate(() => this.next());
    if (!mayRetry || !isIdempotent(this.head.method) || !this.isReplayable) return this.fail(problem);
    const wait = RETRY_DELAYS_MS[this.retries];
    if (wait === undefined) return this.fail(problem);
    this.retries++;
    this.front.metrics.retries++;
    (this.tried ??= new Set()).add(upstream);
    if (wait === 0) setImmediate(() => this.next());
    else this.front.clock.setTimeout(() => this.next(), wait);
  }

  /** Answers with an error of the proxy's own; cuts the connection where an answer had begun. */
  protected fail(problem: Problem): void {
    if (this.isOver) return;
    if (this.response.headersSent) return this.breakOff();
    this.end(problem.status);
    this.abandon();
    answerProblem(this.request, this.response, this.front.cors, problem);
  }

  /** The client must see that the answer is not whole: its connection ends before its framing says so. */
  private breakOff(): void {
    this.end(this.response.statusCode);
    this.abandon();
    this.cutClient();
  }

  private cutClient(): void {
    const { socket } = this.response;
    // An answer to HTTP/1.0 may be framed by nothing but the end of the connection, which must then not be a clean one.
    if (socket && this.request.httpVersion === '1.0') socket.resetAndDestroy();
    else this.response.destroy();
  }

  private next(): void {
    if (this.isOver) return;
    const upstream = this.front.pool.pick({ tried: this.tried, mayTry: isIdempotent(this.head.method) });
    if (!upstream) return this.hold();
    this.upstream = upstream;
    this.isSent = false;
    this.front.pool.enter(upstream, this);
    this.send(upstream);
  }

  private hold(): void {
    const { held, clock, limits, metrics } = this.front;
    if (this.deadline === 0) {
      this.deadline = clock.now() + limits.holdMs;
      metrics.heldTotal++;
    }
    if (clock.now() >= this.deadline) return this.onExpired();
    this.isHeld = held.enter(this, this.deadline);
    if (!this.isHeld) this.fail(tooManyHeld);
  }

  private clientLeft(): void {
    if (this.isOver) return;
    this.end(0);
    this.abandon();
  }

  private end(status: number): void {
    this.isOver = true;
    const { held, metrics, pool } = this.front;
    if (this.isHeld) held.leave(this);
    metrics.inFlight--;
    metrics.finished(this.head.method, status, performance.now() - this.began);
    const { upstream } = this;
    this.upstream = undefined;
    if (upstream) pool.leave(upstream, this);
  }
}

/** What went wrong in words for the answer: an error's code says more than its message. */
export const broken = (error: Error & { code?: string }): Problem => brokenUpstream(error.code ?? error.message);
