import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Cors } from './cors.ts';
import type { Fields } from './fields.ts';
import { type Problem, problemPage } from './pages.ts';
import { hasBody } from './request-body.ts';

const RETRY_AFTER_SECONDS = '1';

export interface Answer {
  readonly status: number;
  readonly fields?: Fields;
  readonly type?: string;
  readonly body?: string;
}

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
  if (hasBody(request) && !request.complete) all.push('Connection', 'close');
  response.writeHead(status, STATUS_CODES[status], all);
  response.end(request.method === 'HEAD' ? undefined : body);
}

export function answerProblem(request: IncomingMessage, response: ServerResponse, cors: Cors, problem: Problem): void {
  const page = problemPage(problem, request.headers.accept);
  const fields: Fields = [];
  if (problem.status === 503) fields.push('Retry-After', RETRY_AFTER_SECONDS);
  if (problem.status === 405) fields.push('Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
  if (page.policy) fields.push('Content-Security-Policy', page.policy);
  answer(request, response, cors, { status: problem.status, fields, type: page.type, body: page.body });
}
