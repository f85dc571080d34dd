import { createServer, type IncomingMessage, type Server, type ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, systemClock } from '../base/async.ts';
import { hostInUrl } from './addresses.ts';
import { answer, answerProblem } from './answer.ts';
import { BodilessExchange } from './bodiless-exchange.ts';
import { BodyExchange } from './body-exchange.ts';
import { Cors } from './cors.ts';
import { DEFAULT_LIMITS, type Listen, type ProxyEngine, type ProxyLimits, type ProxySnapshot } from './engine.ts';
import { isIdempotent } from './exchange.ts';
import type { Front } from './front.ts';
import { HoldQueue } from './hold-queue.ts';
import { HostCheck } from './host-check.ts';
import { Metrics } from './metrics.ts';
import { isOwnPath, OwnAnswers } from './own-answers.ts';
import type { Problem } from './pages.ts';
import { badFraming, badMethod, wrongHost, wrongOrigin } from './problems.ts';
import { hasBody, takesTrailers } from './request-body.ts';
import { framingProblem, requestHead, type Target, targetOf } from './request-head.ts';
import { Tunnel } from './tunnel.ts';
import { UpstreamPool } from './upstream-pool.ts';

export interface EmbeddedOptions {
  readonly limits?: Partial<ProxyLimits>;
  readonly clock?: Clock;
  /** All that it is asked comes from nginx. */
  readonly isBehindNginx?: boolean;
}

/** Options that the oldest Node we run on does not know, and passes over. */
interface NewerServerOptions {
  /** From Node 24.12 on: a request without a body has ended from the start, which saves a tenth of the server's work. */
  readonly optimizeEmptyRequests: true;
}

const NOTHING: ProxySnapshot = { workspace: '', upstreams: [], endpoints: [], origins: [] };

/** The engine that needs nothing installed: Node's HTTP server in front, undici's and Node's clients behind. */
export class EmbeddedEngine implements ProxyEngine {
  readonly kind = 'embedded';
  private readonly limits: ProxyLimits;
  private readonly clock: Clock;
  private readonly pool: UpstreamPool;
  private readonly held: HoldQueue;
  private readonly metrics = new Metrics();
  private readonly sockets = new Set<Socket>();
  private readonly tunnels = new Set<Tunnel>();
  private readonly isSecond: boolean;
  private server: Server | undefined;
  private listen: Listen = { host: '127.0.0.1', port: 0 };
  private snapshot = NOTHING;
  private front: Front;
  private own: OwnAnswers;

  constructor(options: EmbeddedOptions = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.clock = options.clock ?? systemClock;
    this.isSecond = options.isBehindNginx ?? false;
    this.held = new HoldQueue(this.limits, this.clock);
    this.pool = new UpstreamPool(this.limits, this.clock, {
      onAvailable: () => this.held.releaseAll(),
      onTrialDue: () => this.held.releaseOne(),
    });
    this.front = this.frontOf(NOTHING);
    this.own = this.ownOf();
  }

  async start(listen: Listen): Promise<void> {
    const server = this.createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen.port, listen.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.server = server;
    const address = server.address();
    this.listen = { host: listen.host, port: typeof address === 'object' && address ? address.port : listen.port };
    this.adopt(this.snapshot);
  }

  /** Where it listens; of use where any port would do. */
  get address(): Listen {
    return this.listen;
  }

  update(snapshot: ProxySnapshot): Promise<void> {
    this.adopt(snapshot);
    this.pool.update(snapshot.upstreams, snapshot.drainMs);
    return Promise.resolve();
  }

  drained(key: string, signal?: AbortSignal): Promise<void> {
    return this.pool.drained(key, signal);
  }

  async stop(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    const closed = server && new Promise<void>(resolve => server.close(() => resolve()));
    await this.pool.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private adopt(snapshot: ProxySnapshot): void {
    this.snapshot = snapshot;
    this.front = this.frontOf(snapshot);
    this.own = this.ownOf();
  }

  private frontOf({ origins, hosts: names }: ProxySnapshot): Front {
    const { limits, clock, pool, held, metrics, listen } = this;
    const hosts = new HostCheck(names);
    const cors = new Cors([...origins, ...hosts.origins(listen.port)]);
    const authority = `${hostInUrl(listen.host)}:${listen.port}`;
    return { limits, clock, pool, held, metrics, cors, hosts, authority, isSecond: this.isSecond };
  }

  private ownOf(): OwnAnswers {
    return new OwnAnswers(this.front, this.snapshot, () => ({
      connections: this.sockets.size,
      tunnels: this.tunnels.size,
    }));
  }

  private createServer(): Server {
    const { maxHeaderBytes, headersTimeoutMs, keepAliveMs, maxConnections } = this.limits;
    const options: ServerOptions & NewerServerOptions = {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      // An upload takes as long as it takes; one that stands still is `bodyIdleMs`' to end.
      requestTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: Math.max(50, Math.min(1_000, headersTimeoutMs / 4)),
      requireHostHeader: true,
      insecureHTTPParser: false,
      noDelay: true,
      optimizeEmptyRequests: true,
    };
    const server = createServer(options);
    server.maxConnections = maxConnections;
    // More than so many would be left out without a word; their size is bounded anyway.
    server.maxHeadersCount = 0;
    server.on('connection', socket => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
    server.on('drop', () => this.metrics.refused('too_many_connections'));
    server.on('request', (request, response) => this.handle(request, response));
    server.on('checkContinue', (request, response) => this.handle(request, response));
    server.on('connect', (request, duplex) => inTurn(duplex, socket => this.refuseConnect(request, socket)));
    server.on('upgrade', (request, duplex, head) =>
      inTurn(duplex, socket => this.upgrade(server, request, socket, head)),
    );
    return server;
  }

  private handle(request: IncomingMessage, response: ServerResponse): void {
    const target = this.admit(request, response);
    if (!target) return;
    const { front } = this;
    if (isOwnPath(target.path)) return this.own.handle(request, response, target.path);
    const head = requestHead(request, target, front);
    const needsNode =
      !isIdempotent(head.method) || hasBody(request) || request.headers.expect !== undefined || takesTrailers(request);
    const exchange = needsNode
      ? new BodyExchange(front, request, response, head)
      : new BodilessExchange(front, request, response, head);
    exchange.start();
  }

  /** The request's target, or undefined where it was answered right here. */
  private admit(request: IncomingMessage, response: ServerResponse): Target | undefined {
    const { cors, hosts, authority } = this.front;
    const { method = '', url = '', headers, socket } = request;
    const refuse = (problem: Problem): undefined => {
      this.metrics.refused(problem.code);
      answerProblem(request, response, cors, problem);
    };
    const framing = framingProblem(request);
    if (framing) return refuse(badFraming(framing.status, framing.reason));
    const isAsterisk = url === '*' && method === 'OPTIONS';
    const target = isAsterisk ? { path: '*', authority: headers.host } : targetOf(request);
    if (!target) return refuse(badFraming(400, 'its target is neither a path nor an http URL'));
    if (!hosts.allows(target.authority ?? authority, socket.localAddress)) {
      return refuse(wrongHost(target.authority ?? ''));
    }
    if (method === 'TRACE' || method === 'CONNECT') return refuse(badMethod(method));
    if (cors.isPreflight(request)) {
      const fields = cors.preflight(request);
      if (!fields) return refuse(wrongOrigin(headers.origin ?? ''));
      answer(request, response, cors, { status: 204, fields });
      return undefined;
    }
    if (isAsterisk) {
      answer(request, response, cors, {
        status: 204,
        fields: ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
      });
      return undefined;
    }
    return target;
  }

  private refuseConnect(request: IncomingMessage, socket: Socket): void {
    this.metrics.refused('bad_method');
    answerProblem(request, responseOn(request, socket), this.front.cors, badMethod('CONNECT'));
  }

  private upgrade(server: Server, request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') return ignoreUpgrade(server, request, socket, head);
    const response = responseOn(request, socket);
    const target = this.admit(request, response);
    if (!target) return;
    const { origin } = request.headers;
    // Browsers let any page open a WebSocket to anywhere; only the server can look at who asks. Any page can also be
    // without an origin: in a frame with a sandbox.
    if ((origin === 'null' || origin?.startsWith('http')) && !this.front.cors.allows(origin)) {
      this.metrics.refused('wrong_origin');
      return answerProblem(request, response, this.front.cors, wrongOrigin(origin));
    }
    const tunnel = new Tunnel(this.front, request, response, requestHead(request, target, this.front));
    tunnel.listen(socket, head);
    this.tunnels.add(tunnel);
    socket.once('close', () => this.tunnels.delete(tunnel));
    tunnel.start();
  }
}

/**
 * Goes on with a connection that the server has given out of its hands once the requests that came on it before have
 * been answered: answers are given in the order of the requests (RFC 9112, 9.3.2).
 */
function inTurn(duplex: Duplex, goOn: (socket: Socket) => void): void {
  const socket = duplex as Socket & { readonly _httpMessage?: ServerResponse | null };
  socket.on('error', () => socket.destroy());
  const proceed = (): void => {
    if (socket.destroyed || socket.writableEnded) return;
    // By its documented means Node only says that there is one, by an error.
    const before = socket._httpMessage;
    if (before) return void before.once('close', proceed);
    // Which the answer before may have set, for a next request.
    socket.setTimeout(0);
    goOn(socket);
  };
  proceed();
}

/** For an answer on a connection that the server has given out of its hands. It is the last one there. */
function responseOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.end());
  return response;
}

/**
 * A server may ignore an Upgrade that it does not speak (RFC 9110, 7.8), e.g. h2c, which Java's client asks for with
 * every first request. Node has already taken the connection for another protocol's, so it gets the request once more
 * without that field.
 */
function ignoreUpgrade(server: Server, request: IncomingMessage, socket: Socket, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== 'upgrade') lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}
