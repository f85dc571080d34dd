import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { LAYOUTS, isLayout } from './agents/layout.ts';
import type { Database } from './database.ts';
import { workspaceId } from '../model/workspace-id.ts';
import { type Answer, HttpError, type Invalid, type Request, type Route, readJson, unprocessable } from './http.ts';
import { JOB_STATUSES, type NewJob, createJob, findJob, findResult, listJobs, statistics } from './jobs.ts';
import { LIMITS, OPENAPI } from './openapi.ts';

/** HELIX v2.0 does not say whose it is; pages that hear it need not ask a proxy to tell it from a colleague's. */
const WORKSPACE = workspaceId(realpathSync.native(process.cwd()));

const ID = '([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})';

/** `folder` holds the page (`ui`) and the documentation's files (`docs`). */
export function routesOf(database: Database, folder: string): Route[] {
  return [
    { method: 'GET', path: /^\/api\/v1\/health$/, handle: async () => ({ body: await health(database) }) },
    {
      method: 'GET',
      path: /^\/api\/v1\/health\/detailed$/,
      handle: async () => ({
        body: {
          ...(await health(database)),
          statistics: { ...(await statistics(database)), uptime_seconds: Math.round(process.uptime()) },
        },
      }),
    },
    { method: 'GET', path: /^\/api\/v1\/jobs$/, handle: request => list(database, request.query) },
    { method: 'POST', path: /^\/api\/v1\/jobs$/, handle: request => create(database, request) },
    {
      method: 'GET',
      path: new RegExp(`^/api/v1/jobs/${ID}$`),
      handle: async ({ params }) => ({ body: (await findJob(database, params[0] ?? '')) ?? notFound() }),
    },
    {
      method: 'GET',
      path: new RegExp(`^/api/v1/jobs/${ID}/result$`),
      handle: ({ params }) => result(database, params[0] ?? ''),
    },
    { method: 'GET', path: /^\/api\/v1\/jobs\/([^/]+)(?:\/result)?$/, handle: ({ params }) => invalidId(params[0]) },
    { method: 'GET', path: /^\/openapi\.json$/, handle: () => ({ body: OPENAPI }) },
    { method: 'GET', path: /^\/$/, handle: () => file(join(folder, 'ui', 'index.html')) },
    { method: 'GET', path: /^\/docs$/, handle: () => file(join(folder, 'ui', 'docs.html')) },
    { method: 'GET', path: /^\/(ui|docs)\/([a-z-]+\.(?:css|js|svg))$/, handle: ({ params }) => asset(folder, params) },
  ];
}

const notFound = (): never => {
  throw new HttpError(404, 'Job not found');
};

async function health(database: Database): Promise<Record<string, unknown>> {
  try {
    await database.query('SELECT 1');
  } catch {
    throw new HttpError(503, 'Service unhealthy');
  }
  return {
    status: 'healthy',
    timestamp: new Date().toISOString(),
    components: { database: 'healthy', api: 'healthy' },
    workspace: WORKSPACE,
  };
}

async function list(database: Database, query: URLSearchParams): Promise<Answer> {
  const limit = Number(query.get('limit') ?? 20);
  const status = query.get('status');
  const known = JOB_STATUSES.find(one => one === status) ?? null;
  const problems: Invalid[] = [];
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.listed) {
    const msg = `Input should be a whole number from 1 to ${LIMITS.listed}`;
    problems.push({ type: 'int_parsing', loc: ['query', 'limit'], msg, input: query.get('limit') });
  }
  if (status !== null && !known) {
    const msg = `Input should be one of ${JOB_STATUSES.join(', ')}`;
    problems.push({ type: 'enum', loc: ['query', 'status'], msg, input: status });
  }
  if (problems.length > 0) throw unprocessable(problems);
  return { body: await listJobs(database, limit, known) };
}

async function create(database: Database, request: Request): Promise<Answer> {
  const job = parseJob(await readJson(request.raw, LIMITS.body));
  const created = await createJob(database, job);
  return { status: 201, headers: { Location: `${request.path}/${created.id}` }, body: created };
}

/** The body as a job, or FastAPI's 422 that lists every problem. */
export function parseJob(body: unknown): NewJob {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    const msg = 'Input should be a valid dictionary or object to extract fields from';
    throw unprocessable([{ type: 'model_attributes_type', loc: ['body'], msg, input: body }]);
  }
  const { prompt, layout = null } = body as Record<string, unknown>;
  const problems: Invalid[] = [];
  const problem = (type: string, field: string, msg: string, input: unknown): void =>
    void problems.push({ type, loc: ['body', field], msg, input });
  if (prompt === undefined) problem('missing', 'prompt', 'Field required', body);
  else if (typeof prompt !== 'string') problem('string_type', 'prompt', 'Input should be a valid string', prompt);
  else if (prompt.trim() === '')
    problem('string_too_short', 'prompt', 'String should have at least 1 character', prompt);
  else if (prompt.length > LIMITS.prompt) {
    problem(
      'string_too_long',
      'prompt',
      `String should have at most ${LIMITS.prompt} characters`,
      prompt.slice(0, 100),
    );
  } else if (prompt.includes('\0')) problem('value_error', 'prompt', 'String should not hold NUL', '');
  if (layout !== null && !isLayout(layout)) {
    problem('enum', 'layout', `Input should be one of ${LAYOUTS.join(', ')}`, layout);
  }
  if (problems.length > 0) throw unprocessable(problems);
  return { prompt: String(prompt).trim(), layout: isLayout(layout) ? layout : null };
}

async function result(database: Database, id: string): Promise<Answer> {
  const found = (await findResult(database, id)) ?? notFound();
  if (found.status === 'completed') return { body: { job_id: id, status: found.status, result: found.result } };
  throw new HttpError(
    409,
    found.status === 'failed' ? `Job failed: ${found.error ?? 'unknown reason'}` : `Job is ${found.status}`,
  );
}

function invalidId(input: string | undefined): never {
  throw unprocessable([{ type: 'uuid_parsing', loc: ['path', 'id'], msg: 'Input should be a valid UUID', input }]);
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/**
 * Scripts from here only. They may ask this machine's other ports, since an API that has moved is on one of them. Styles may be
 * inline: the preview frame inherits this policy, and its page has a style element.
 */
const CONTENT_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' http://127.0.0.1:* http://localhost:*; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

async function file(path: string): Promise<Answer> {
  const headers = { 'Content-Type': TYPES[extname(path)] ?? 'text/plain', 'Content-Security-Policy': CONTENT_POLICY };
  try {
    return { headers: { ...headers, 'Cache-Control': 'no-cache' }, body: await readFile(path) };
  } catch (error) {
    throw codeOf(error) === 'ENOENT' ? new HttpError(404, 'Not Found') : error;
  }
}

const asset = (folder: string, [kind, name]: readonly string[]): Promise<Answer> =>
  file(join(folder, kind ?? '', name ?? ''));
