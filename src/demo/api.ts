import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { delay } from '../base/async.ts';
import { messageOf } from '../base/errors.ts';
import { httpUrl } from '../model/service.ts';
import { type Answer, HttpError, type Route, corsHeaders, findRoute, preflight, send } from './http.ts';
import { routesOf } from './routes.ts';
import { type Service, runService } from './service.ts';

/** The HTTP API and the page. Listens at once; its health is 503 until the database answers. */
void runService('api', async service => {
  const { env, log, database, signal } = service;
  await delay(env.startDelayMs, signal);
  const routes = routesOf(database, __dirname);
  const server = createServer((request, response) => void answer(service, routes, request, response));
  server.requestTimeout = 30_000;
  server.listen(env.apiPort, env.apiHost);
  await once(server, 'listening');
  log.info(`api listening on ${httpUrl(env.apiHost, env.apiPort)}`);
  if (!signal.aborted) await once(signal, 'abort');
  await close(server);
});

async function answer(
  { env, log }: Service,
  routes: readonly Route[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const began = performance.now();
  const method = request.method ?? 'GET';
  const cors = corsHeaders(request, env.allowedOrigins);
  const reply = await replyTo(routes, request, env.allowedOrigins).catch((error: unknown): Answer => {
    if (error instanceof HttpError)
      return { status: error.status, headers: error.headers, body: { detail: error.detail } };
    log.error(`${method} ${request.url}: ${messageOf(error)}`);
    return { status: 503, body: { detail: 'Service unhealthy' } };
  });
  if (!response.destroyed) send(response, { ...reply, headers: { ...cors, ...reply.headers } }, method === 'HEAD');
  log.debug(`${method} ${request.url} ${reply.status ?? 200} ${Math.round(performance.now() - began)} ms`);
}

async function replyTo(
  routes: readonly Route[],
  request: IncomingMessage,
  allowedOrigins: readonly string[],
): Promise<Answer> {
  const method = request.method ?? 'GET';
  if (method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined) {
    return preflight(request, allowedOrigins);
  }
  const url = parseUrl(request.url ?? '/');
  const { route, params } = findRoute(routes, method, url.pathname);
  return route.handle({ method, path: url.pathname, query: url.searchParams, params, raw: request });
}

function parseUrl(target: string): URL {
  try {
    return new URL(`http://api${target}`);
  } catch {
    throw new HttpError(400, 'Bad Request');
  }
}

/** Requests under way may end; idle connections are closed at once, the rest after a moment. */
async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const limit = setTimeout(() => server.closeAllConnections(), 2000);
  await closed;
  clearTimeout(limit);
}
