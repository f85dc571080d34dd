import { type ClientRequest, type IncomingMessage, request as httpRequest, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { broken, Exchange } from './exchange.ts';
import type { Fields } from './fields.ts';
import { slowUpstream } from './problems.ts';
import { responseFields } from './response-head.ts';
import type { PooledUpstream } from './upstream-pool.ts';

/** A client that says more than this before it knows whether it may is not read on. */
const EARLY_MAX = 64 << 10;

/**
 * A request to speak WebSocket. The client gets its 101 when the upstream has sent one and not before; a refusal is
 * passed on as the answer that it is. Then bytes go both ways until either side ends or resets.
 */
export class Tunnel extends Exchange {
  protected readonly isReplayable = true;
  private attempt: ClientRequest | undefined;
  private upstreamSocket: Duplex | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopKeeping: () => void = () => undefined;
  /** What the client sent before it was answered; read, because only who reads learns that the client is gone. */
  private readonly early: Buffer[] = [];
  private earlyBytes = 0;

  /** Takes what has come with the request's head, and what comes until there is an answer. */
  listen(socket: Socket, head: Buffer): void {
    const keep = (chunk: Buffer): void => {
      this.early.push(chunk);
      this.earlyBytes += chunk.length;
      if (this.earlyBytes > EARLY_MAX) socket.pause();
    };
    if (head.length) keep(head);
    socket.on('data', keep);
    this.stopKeeping = () => socket.off('data', keep);
  }

  protected send({ upstream }: PooledUpstream): void {
    const { method, path, fields } = this.head;
    const attempt = httpRequest({
      host: upstream.host,
      port: upstream.port,
      agent: false,
      method,
      path,
      headers: [...fields, 'Connection', 'Upgrade', 'Upgrade', this.request.headers.upgrade ?? ''],
      setHost: false,
      insecureHTTPParser: false,
    });
    this.attempt = attempt;
    const isCurrent = (): boolean => this.attempt === attempt && !this.over;
    attempt.on('socket', socket => {
      const { connectMs, responseMs } = this.front.limits;
      this.timer = setTimeout(() => attempt.destroy(new Error('connect timeout')), connectMs);
      socket.once('connect', () => {
        clearTimeout(this.timer);
        if (!isCurrent()) return;
        this.sent();
        this.timer = setTimeout(() => isCurrent() && this.late(attempt), responseMs);
      });
    });
    attempt.on('upgrade', (response, socket, head) => {
      if (isCurrent()) this.open(response, socket, head);
      else socket.destroy();
    });
    attempt.on('response', response => {
      if (isCurrent()) this.refuse(attempt, response);
    });
    const failed = (error: Error): void => {
      if (!isCurrent()) return;
      this.drop();
      this.failed(this.isConnected ? 'broken' : 'unreachable', broken(error), true);
    };
    attempt.on('error', failed);
    attempt.on('close', () => failed(new Error('closed without an answer')));
    attempt.end();
  }

  protected abandon(): void {
    const { attempt, upstreamSocket } = this;
    this.drop();
    attempt?.destroy();
    upstreamSocket?.destroy();
  }

  private drop(): void {
    clearTimeout(this.timer);
    this.attempt = undefined;
  }

  private late(attempt: ClientRequest): void {
    this.drop();
    attempt.destroy();
    this.failed('broken', slowUpstream(this.front.limits.responseMs), false);
  }

  /** The upstream speaks another protocol from now on. */
  private open(answer: IncomingMessage, upstream: Duplex, head: Buffer): void {
    this.drop();
    this.answered();
    this.upstreamSocket = upstream;
    const client = this.response.socket;
    if (!client) return void upstream.destroy();
    client.write(switchingProtocols(answer, this.request), 'latin1');
    if (head.length) client.write(head);
    this.stopKeeping();
    for (const chunk of this.early.splice(0)) upstream.write(chunk);
    join(client, upstream as Socket);
    client.once('close', () => this.tunnelClosed());
    upstream.once('close', () => this.tunnelClosed());
    this.response.statusCode = 101;
  }

  private tunnelClosed(): void {
    this.completed();
  }

  /** Passes on the answer of an upstream that does not want to. The connection ends with it. */
  private refuse(attempt: ClientRequest, answer: IncomingMessage): void {
    clearTimeout(this.timer);
    this.answered();
    const { response, request, front } = this;
    const status = answer.statusCode ?? 502;
    const context = { cors: front.cors, origin: request.headers.origin };
    const fields = [...responseFields(status, answer.rawHeaders, context), 'Connection', 'close'];
    response.writeHead(status, answer.statusMessage || STATUS_CODES[status], fields);
    answer.on('data', (chunk: Buffer) => {
      if (!response.write(chunk)) answer.pause();
    });
    response.on('drain', () => answer.resume());
    answer.on('error', (error: Error) => {
      this.drop();
      this.failed('broken', broken(error), false);
    });
    answer.on('end', () => {
      if (this.over || this.attempt !== attempt) return;
      this.drop();
      response.end();
      this.completed();
    });
  }
}

/** The upstream's 101 as it came, with the fields of this hop, which here are the point of it. */
function switchingProtocols(answer: IncomingMessage, request: IncomingMessage): string {
  const { rawHeaders } = answer;
  const fields: Fields = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (name !== 'connection' && name !== 'upgrade') fields.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  }
  const protocol = answer.headers.upgrade ?? request.headers.upgrade ?? '';
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', `Upgrade: ${protocol}`, ...fields];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Both ways, at the slower side's pace; an end is passed on as an end and a reset as a reset. */
function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.resetAndDestroy());
    from.once('close', () => {
      // Without an end before it: a reset, or a connection that was cut.
      if (!from.readableEnded) to.destroy();
    });
  }
}
