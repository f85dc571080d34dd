import type { IncomingMessage, ServerResponse } from 'node:http';

/** An answer to be thrown: status and FastAPI's `{"detail": …}`. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly detail: unknown,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(typeof detail === 'string' ? detail : `HTTP ${status}`);
  }
}

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly params: readonly string[];
  readonly raw: IncomingMessage;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** Matches the whole path; its groups are the request's `params`. */
  readonly path: RegExp;
  handle(request: Request): Answer | Promise<Answer>;
}

/** A problem with one part of the input, in the form FastAPI has for it. */
export interface Invalid {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
}

export const unprocessable = (problems: readonly Invalid[]): HttpError => new HttpError(422, problems);

/** The route for a request, or the error that HTTP has for its absence. */
export function findRoute(routes: readonly Route[], method: string, path: string): { route: Route; params: string[] } {
  const wanted = method === 'HEAD' ? 'GET' : method;
  const matching = routes.flatMap(route => {
    const match = route.path.exec(path);
    return match ? [{ route, params: match.slice(1) }] : [];
  });
  const found = matching.find(({ route }) => route.method === wanted);
  if (found) return found;
  if (matching.length === 0) throw new HttpError(404, 'Not Found');
  const allow = [...new Set(matching.map(({ route }) => route.method))].join(', ');
  throw new HttpError(405, 'Method Not Allowed', { Allow: allow });
}

/** The body as JSON, never more than `limit` bytes of it. */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  // Asking for this type keeps other sites' forms out: a browser sends it only after a preflight.
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new HttpError(415, 'Content-Type must be application/json');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw new HttpError(413, `The body is larger than ${limit} bytes`, { Connection: 'close' });
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    throw unprocessable([{ type: 'json_invalid', loc: ['body'], msg: 'JSON decode error', input: {} }]);
  }
}

/** Exact origins only; a request without `Origin` is not the browser's business. */
export function corsHeaders(request: IncomingMessage, allowed: readonly string[]): Record<string, string> {
  const origin = request.headers.origin;
  if (origin === undefined || !allowed.includes(origin)) return { Vary: 'Origin' };
  return { Vary: 'Origin', 'Access-Control-Allow-Origin': origin, 'Access-Control-Allow-Credentials': 'true' };
}

export function preflight(request: IncomingMessage, allowed: readonly string[]): Answer {
  const headers = corsHeaders(request, allowed);
  if (!headers['Access-Control-Allow-Origin']) return { status: 400, headers, body: 'Disallowed CORS origin' };
  return {
    status: 204,
    headers: {
      ...headers,
      'Access-Control-Allow-Methods': 'GET, POST',
      'Access-Control-Allow-Headers': 'content-type',
      'Access-Control-Max-Age': '600',
    },
    body: undefined,
  };
}

export function send(response: ServerResponse, { status = 200, headers = {}, body }: Answer, head: boolean): void {
  const isBytes = Buffer.isBuffer(body);
  const isText = typeof body === 'string';
  const payload =
    body === undefined ? undefined : isBytes || isText ? Buffer.from(body) : Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    ...(payload && {
      'Content-Type': isText ? 'text/plain; charset=utf-8' : 'application/json',
      'Content-Length': String(payload.length),
    }),
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(head ? undefined : payload);
}
