import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Cors } from './cors.ts';
import type { Fields } from './fields.ts';
import { type Problem, problemPage } from './pages.ts';
import { discardRest, hasBody } from './request-body.ts';

const RETRY_AFTER_SECONDS = '1';

export interface Answer {
  readonly status: number;
  readonly fields?: Fields;
  readonly type?: string;
  readonly body?: string;
}

/** Where what follows the head may be anything (400, 501), or does not come (408). */
const ENDS_CONNECTION = new Set([400, 408, 501]);

/** Answers from the proxy itself. What is left of the request's body is not waited for. */
export function answer(
  request: IncomingMessage,
  response: ServerResponse,
  cors: Cors,
  { status, fields = [], type, body = '' }: Answer,
): void {
  const all: Fields = [...fields, 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff'];
  if (!all.includes('Vary')) all.push('Vary', 'Origin');
  if (!all.includes('Access-Control-Allow-Origin')) cors.grant(all, request.headers.origin);
  if (type) all.push('Content-Type', type);
  if (status !== 204) all.push('Content-Length', String(Buffer.byteLength(body)));
  const isUnread = hasBody(request) && !request.complete;
  // Whether a body still comes that the client wanted to be asked for is known to nobody (RFC 9110, 10.1.1).
  const isLast = isUnread && (ENDS_CONNECTION.has(status) || request.headers.expect !== undefined);
  if (isLast) all.push('Connection', 'close');
  response.writeHead(status, STATUS_CODES[status], all);
  response.end(request.method === 'HEAD' ? undefined : body);
  if (isUnread && !isLast) discardRest(request);
}

export function answerProblem(request: IncomingMessage, response: ServerResponse, cors: Cors, problem: Problem): void {
  const page = problemPage(problem, request.headers.accept);
  const fields: Fields = [];
  if (problem.status === 503) fields.push('Retry-After', RETRY_AFTER_SECONDS);
  if (problem.status === 405) fields.push('Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
  if (page.policy) fields.push('Content-Security-Policy', page.policy);
  answer(request, response, cors, { status: problem.status, fields, type: page.type, body: page.body });
}
