import { type ClientRequest, type IncomingMessage, request as httpRequest, STATUS_CODES } from 'node:http';
import type { TimerHandle } from '../base/async.ts';
import { codeOf } from '../base/errors.ts';
import { broken, Exchange } from './exchange.ts';
import { trailersOf } from './fields.ts';
import { passInformational } from './informational.ts';
import { badFraming, brokenUpstream, slowBody, slowUpstream } from './problems.ts';
import { discardRest, framing } from './request-body.ts';
import { responseFields, sendHead } from './response-head.ts';
import type { PooledUpstream } from './upstream-pool.ts';

/**
 * A request with a body, by `node:http`, which unlike undici sends trailers, expects 100-continue and passes on an
 * answer that comes before the body's end. Nothing is buffered but what a retry of a small body needs.
 */
export class BodyExchange extends Exchange {
  private attempt: ClientRequest | undefined;
  private isPumping = false;
  private hasContinued = false;
  /** From the start where there is none, on a Node whose server says so then. */
  private isBodyComplete = this.request.readableEnded;
  /** What was read of the body so far; undefined once it is more than is kept. */
  private kept: Buffer[] | undefined = [];
  private keptBytes = 0;
  private readonly timers = new Set<TimerHandle>();
  private idleTimer: NodeJS.Timeout | undefined;
  private answerTimer: TimerHandle;

  protected get isReplayable(): boolean {
    return this.kept !== undefined;
  }

  override get bytes(): number {
    return super.bytes + this.keptBytes;
  }

  private get expectsContinue(): boolean {
    return this.request.headers.expect !== undefined;
  }

  protected send({ upstream, agent }: PooledUpstream): void {
    const { method, path, fields } = this.head;
    const attempt = httpRequest({
      host: upstream.host,
      port: upstream.port,
      agent,
      method,
      path,
      headers: [...fields, ...framing(this.request)],
      setHost: false,
      maxHeaderSize: this.front.limits.maxHeaderBytes * 4,
      insecureHTTPParser: false,
    });
    this.attempt = attempt;
    const ifCurrent =
      <T extends unknown[]>(handle: (...args: T) => void) =>
      (...args: T): void => {
        if (this.attempt === attempt && !this.over) handle(...args);
      };
    attempt.on('socket', socket => {
      if (!socket.connecting) return ifCurrent(() => this.connected(attempt))();
      const timer = setTimeout(() => attempt.destroy(new Error('connect timeout')), this.front.limits.connectMs);
      socket.once('close', () => clearTimeout(timer));
      socket.once('connect', () => {
        clearTimeout(timer);
        ifCurrent(() => this.connected(attempt))();
      });
    });
    attempt.on(
      'continue',
      ifCurrent(() => this.passContinue()),
    );
    attempt.on(
      'information',
      ifCurrent(info => {
        passInformational(this.request, this.response, info.statusCode, info.rawHeaders);
      }),
    );
    attempt.on(
      'response',
      ifCurrent((response: IncomingMessage) => this.receive(attempt, response)),
    );
    attempt.on('upgrade', (_response, socket) => socket.destroy());
    attempt.on(
      'error',
      ifCurrent((error: Error) => this.attemptFailed(error)),
    );
    attempt.on(
      'close',
      ifCurrent(() => this.attemptFailed(new Error('closed without an answer'))),
    );
  }

  protected abandon(): void {
    this.stopTimers();
    const { attempt } = this;
    this.attempt = undefined;
    attempt?.destroy();
  }

  private connected(attempt: ClientRequest): void {
    this.sent();
    for (const chunk of this.kept ?? []) attempt.write(chunk);
    attempt.on('drain', () => this.request.resume());
    if (this.isBodyComplete) this.finishBody(attempt);
    else this.pump();
    // With the body's beginning if that is here already, and without it if it lets itself be waited for.
    if (this.keptBytes > 0) return;
    setImmediate(() => {
      if (this.attempt === attempt && !attempt.writableEnded) sendHead(attempt);
    });
  }

  /** From the client to whichever attempt is the present one. */
  private pump(): void {
    const { request } = this;
    this.awaitBody();
    // It was paused by an attempt that failed.
    request.resume();
    if (this.isPumping) return;
    this.isPumping = true;
    request.on('data', (chunk: Buffer) => this.passOn(chunk));
    request.on('end', () => {
      this.isBodyComplete = true;
      clearTimeout(this.idleTimer);
      if (this.attempt && !this.over) this.finishBody(this.attempt);
    });
  }

  private passOn(chunk: Buffer): void {
    this.idleTimer?.refresh();
    if (this.over) return;
    this.keep(chunk);
    const { attempt } = this;
    // It failed and the next one is not connected yet.
    if (!attempt || !this.isConnected) return void this.request.pause();
    if (!attempt.write(chunk)) this.request.pause();
  }

  private keep(chunk: Buffer): void {
    if (!this.kept) return;
    this.keptBytes += chunk.length;
    if (this.keptBytes <= this.front.limits.maxReplayBytes) return void this.kept.push(chunk);
    this.kept = undefined;
    this.keptBytes = 0;
  }

  private finishBody(attempt: ClientRequest): void {
    const trailers = trailersOf(this.request.rawTrailers);
    if (trailers.length) attempt.addTrailers(trailers);
    attempt.end();
    const { clock, limits } = this.front;
    this.answerTimer = clock.setTimeout(() => this.attemptIsLate(attempt), limits.responseMs);
  }

  private attemptIsLate(attempt: ClientRequest): void {
    if (this.attempt !== attempt || this.over) return;
    this.dropAttempt();
    attempt.destroy();
    this.failed('broken', slowUpstream(this.front.limits.responseMs), false);
  }

  private attemptFailed(error: Error): void {
    const { isConnected } = this;
    this.dropAttempt();
    if (codeOf(error) === 'ERR_INVALID_CHAR') return this.fail(badFraming(400, error.message));
    const nothingBack = !isParseError(error);
    this.failed(isConnected ? 'broken' : 'unreachable', broken(error), nothingBack);
  }

  private dropAttempt(): void {
    this.attempt = undefined;
    this.request.pause();
    this.stopTimers();
  }

  private stopTimers(): void {
    clearTimeout(this.idleTimer);
    this.front.clock.clearTimeout(this.answerTimer);
  }

  private passContinue(): void {
    if (this.hasContinued || this.response.headersSent) return;
    this.hasContinued = true;
    this.response.writeContinue();
  }

  private receive(attempt: ClientRequest, upstream: IncomingMessage): void {
    const { response, request, front } = this;
    front.clock.clearTimeout(this.answerTimer);
    const status = upstream.statusCode ?? 502;
    const fields = responseFields(status, upstream.rawHeaders, { cors: front.cors, origin: request.headers.origin });
    // Whether the body still comes is not known to either side (RFC 9110, 10.1.1).
    if (this.expectsContinue && !this.hasContinued && !this.isBodyComplete) fields.push('Connection', 'close');
    try {
      response.writeHead(status, upstream.statusMessage || STATUS_CODES[status], fields);
    } catch (error) {
      attempt.destroy();
      return this.fail(brokenUpstream((error as Error).message));
    }
    this.answered();
    sendHead(response);
    upstream.on('data', (chunk: Buffer) => {
      if (!response.write(chunk)) upstream.pause();
    });
    response.on('drain', () => upstream.resume());
    upstream.on('error', (error: Error) => {
      if (this.attempt === attempt && !this.over) this.attemptFailed(error);
    });
    upstream.on('end', () => {
      if (this.attempt === attempt && !this.over) this.complete(attempt, upstream);
    });
  }

  private complete(attempt: ClientRequest, upstream: IncomingMessage): void {
    const trailers = trailersOf(upstream.rawTrailers);
    if (trailers.length) this.response.addTrailers(trailers);
    this.response.end();
    this.attempt = undefined;
    this.stopTimers();
    this.completed();
    if (this.isBodyComplete) return;
    // The upstream has said all it wants to say, and the client may still be sending.
    attempt.destroy();
    discardRest(this.request);
  }

  private awaitBody(): void {
    const { bodyIdleMs } = this.front.limits;
    clearTimeout(this.idleTimer);
    this.idleTimer = setTimeout(() => {
      // Paused is the upstream's slowness, not the client's.
      if (this.request.isPaused()) this.idleTimer?.refresh();
      else this.fail(slowBody(bodyIdleMs));
    }, bodyIdleMs);
  }
}

const isParseError = (error: Error): boolean => codeOf(error)?.startsWith('HPE_') ?? false;
