import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { codeOf } from '../base/errors.ts';
import { broken, Exchange } from './exchange.ts';
import { type Fields, trailersOf } from './fields.ts';
import { passInformational } from './informational.ts';
import { badFraming, slowUpstream } from './problems.ts';
import { reasonOf, responseFields, sendHead } from './response-head.ts';
import type { PooledUpstream } from './upstream-pool.ts';

/** Of which undici says with such a code that it did not even try: the request cannot be written. */
const UNWRITABLE = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']);

/** Up to so many bytes of a body it is cheaper to copy them than to have the system gather them. */
const ONE_PIECE_MAX = 4_096;

/**
 * A request without a body, by undici's dispatcher. This is nearly all traffic, so nothing stands between the two
 * parsers: chunks are passed on as they come, and the client's pace is the upstream's. The handler is of the kind that
 * gets raw header fields, since order, case and repetition of them are not a proxy's to change.
 */
export class BodilessExchange extends Exchange implements Dispatcher.DispatchHandler {
  protected readonly isReplayable = true;
  private abort: (() => void) | undefined;
  private resume: (() => void) | undefined;
  private hasResponseBegun = false;
  private isFlushed = false;
  private isBlocked = false;
  /** The first piece of the body waits for the end of the tick: most answers then go out with their head, in one write. */
  private first: Buffer | undefined;

  protected send(upstream: PooledUpstream): void {
    this.hasResponseBegun = false;
    const { method, path, fields } = this.head;
    // Without `reset` undici ends the connection after each HEAD.
    upstream.connections.dispatch({ method, path, headers: fields, body: null, reset: false }, this);
  }

  protected abandon(): void {
    this.abort?.();
    this.abort = undefined;
  }

  onConnect(abort: () => void): void {
    this.abort = abort;
    // It was given up while it was being connected.
    if (this.over) return abort();
    this.sent();
  }

  onResponseStarted(): void {
    this.hasResponseBegun = true;
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, statusText: string): boolean {
    const { response, request, front } = this;
    const texts = textsOf(raw);
    if (status < 200) {
      passInformational(request, response, status, texts);
      return true;
    }
    const fields = responseFields(status, texts, { cors: front.cors, origin: request.headers.origin });
    response.writeHead(status, reasonOf(status, statusText), fields);
    this.answered();
    this.resume = resume;
    process.nextTick(flush, this);
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (!this.isFlushed && !this.first) {
      this.first = chunk;
      return true;
    }
    this.flush();
    this.write(chunk);
    return !this.isBlocked;
  }

  onComplete(trailers: string[] | null): void {
    if (this.over) return;
    const { response } = this;
    const pairs = trailers?.length ? trailersOf(trailers.map(String)) : [];
    if (pairs.length) response.addTrailers(pairs);
    if (this.first && this.first.length <= ONE_PIECE_MAX) endInOnePiece(response, this.first.toString('latin1'));
    else response.end(this.first);
    this.first = undefined;
    this.completed();
  }

  onError(error: Error): void {
    this.abort = undefined;
    if (this.over) return;
    this.flush();
    const code = codeOf(error) ?? '';
    if (UNWRITABLE.has(code)) return this.fail(badFraming(400, error.message));
    if (!this.isConnected) return this.failed('unreachable', broken(error), true);
    if (code === 'UND_ERR_HEADERS_TIMEOUT') {
      return this.failed('broken', slowUpstream(this.front.limits.responseMs), false);
    }
    this.failed('broken', broken(error), !this.hasResponseBegun);
  }

  /** Sends what waits, or the head alone where the body lets itself be waited for. */
  flush(): void {
    const { first, response } = this;
    if (this.over || this.isFlushed || !response.headersSent) return;
    this.isFlushed = true;
    this.first = undefined;
    if (first) this.write(first);
    else sendHead(response);
  }

  private write(chunk: Buffer): void {
    if (this.response.write(chunk) || this.isBlocked) return;
    this.isBlocked = true;
    this.response.once('drain', () => {
      this.isBlocked = false;
      this.resume?.();
    });
  }
}

/** A loop, because this is done for each answer and `map` would make a closure and check for holes. */
function textsOf(raw: readonly Buffer[]): Fields {
  const texts: Fields = [];
  for (let i = 0; i < raw.length; i++) texts.push(raw[i]!.toString('latin1'));
  return texts;
}

/**
 * As a string the body goes out in one piece with the head, which costs the system half of two. `end` would add an empty
 * piece to it, unless all is written before.
 */
function endInOnePiece(response: ServerResponse, body: string): void {
  if (response.chunkedEncoding) return void response.end(body, 'latin1');
  response.write(body, 'latin1');
  process.nextTick(end, response);
}

const end = (response: ServerResponse): void => void response.end();
const flush = (exchange: BodilessExchange): void => exchange.flush();
