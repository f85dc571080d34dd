import assert from 'node:assert/strict';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import getPort from 'get-port';
import type { JobView } from '../../../src/demo/jobs.ts';
import { workspaceId } from '../../../src/model/workspace-id.ts';
import type { PostgresConfig } from '../../../src/postgres/config.ts';
import { withClient } from '../../../src/postgres/probe.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, type Program, dist, engineOrSkip } from '../postgres/harness.ts';

const services = join(dist, 'demo', 'services');
const PROMPT = 'A pricing page for "Tidewater", green, with weekly reports, own domain and phone support';

describe('demo services', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  const whole = new Cleanup();
  let config: PostgresConfig;
  let postgres: Program;

  before(async function () {
    await engineOrSkip(this, 'auto');
    config = await whole.config();
    postgres = await whole.readyPostgres(config);
  });
  after(() => whole.run());
  afterEach(async () => {
    await cleanup.run();
    if (postgres.running) await withClient(config, client => client.query('DROP SCHEMA IF EXISTS helix_demo CASCADE'));
  });

  const environment = (changes: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
    POSTGRES_HOST: config.host,
    POSTGRES_PORT: String(config.port),
    POSTGRES_DB: config.database,
    POSTGRES_USER: config.user,
    POSTGRES_PASSWORD: config.password,
    LOG_LEVEL: 'DEBUG',
    HELIX_DEMO_POLL_MS: '100',
    ...changes,
  });
  const start = (name: string, changes: NodeJS.ProcessEnv = {}): Program =>
    cleanup.program(join(services, `${name}.cjs`), environment(changes), { cwd: services });

  async function startApi(changes: NodeJS.ProcessEnv = {}): Promise<{ program: Program; base: string }> {
    const port = await getPort();
    const program = start('api', { API_PORT: String(port), ...changes });
    await program.prints(/api listening on/);
    return { program, base: `http://127.0.0.1:${port}` };
  }

  const post = (base: string, body: unknown): Promise<Response> =>
    fetch(`${base}/api/v1/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
  async function submit(base: string, prompt = PROMPT): Promise<JobView> {
    const response = await post(base, { prompt });
    assert.equal(response.status, 201);
    return (await response.json()) as JobView;
  }
  const jobOf = async (base: string, id: string): Promise<JobView> =>
    (await (await fetch(`${base}/api/v1/jobs/${id}`)).json()) as JobView;
  const ended = (base: string, id: string): Promise<JobView> =>
    waitFor(
      'the job to end',
      async () => {
        const job = await jobOf(base, id);
        return ['completed', 'failed'].includes(job.status) && job;
      },
      { interval: 30, seen: () => jobOf(base, id) },
    );
  const health = async (base: string): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`${base}/api/v1/health`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it('take a job over HTTP and bring it out finished', async () => {
    // All three at the same moment on an empty database: whoever comes first makes the tables.
    const [orchestrator, worker] = [start('orchestrator'), start('worker')];
    const { base } = await startApi();
    await Promise.all([orchestrator.prints(/orchestrator polling/), worker.prints(/worker polling/)]);
    const job = await submit(base);
    assert.equal(job.status, 'pending');
    const done = await ended(base, job.id);
    assert.equal(done.status, 'completed');
    assert.deepEqual(done.progress, { done: 3, total: 3, current: null });
    assert.deepEqual(
      done.tasks.map(task => task.agent),
      ['planner', 'generator', 'reviewer'],
    );

    const response = await fetch(`${base}/api/v1/jobs/${job.id}/result`);
    const { status, result } = (await response.json()) as { status: string; result: { html: string; layout: string } };
    assert.equal(status, 'completed');
    assert.equal(result.layout, 'pricing');
    assert.match(result.html, /<h1>Tidewater<\/h1>[\s\S]*Weekly reports/);

    const list = (await (await fetch(`${base}/api/v1/jobs?status=completed`)).json()) as { total: number };
    assert.equal(list.total, 1);
    const detailed = (await (await fetch(`${base}/api/v1/health/detailed`)).json()) as Record<string, unknown>;
    assert.equal(detailed['status'], 'healthy');
    assert.deepEqual((detailed['statistics'] as Record<string, unknown>)['jobs'], { completed: 1 });
    for (const program of [orchestrator, worker]) assert.equal(await program.stop('SIGTERM'), 0);
  });

  it('share the work of many jobs between two workers and two orchestrators', async () => {
    const programs = ['orchestrator', 'orchestrator', 'worker', 'worker'].map(name => start(name));
    const { base } = await startApi();
    const jobs = await Promise.all(Array.from({ length: 12 }, (_, i) => submit(base, `A blog about topic ${i}`)));
    const done = await Promise.all(jobs.map(job => ended(base, job.id)));
    assert.deepEqual(new Set(done.map(job => job.status)), new Set(['completed']));
    assert.ok(done.every(job => job.tasks.length === 3 && job.tasks.every(task => task.attempts === 1)));
    await Promise.all(programs.map(program => program.stop()));
  });

  it('finish a job whose worker was killed in the middle of a task', async () => {
    start('orchestrator');
    const { base } = await startApi();
    const lease = { HELIX_DEMO_LEASE_MS: '600' };
    const killed = start('worker', { ...lease, HELIX_DEMO_STEP_MS: '600000' });
    const job = await submit(base);
    const running = await waitFor('the task to be taken', async () => {
      const now = await jobOf(base, job.id);
      return now.tasks[0]?.status === 'running' && now;
    });
    assert.equal(running.progress.current, 'planner');
    await killed.stop('SIGKILL');
    start('worker', lease);
    const done = await ended(base, job.id);
    assert.equal(done.status, 'completed');
    assert.equal(done.tasks[0]?.attempts, 2);
  });

  it('hand a task back when the worker is asked to stop', async () => {
    start('orchestrator');
    const { base } = await startApi();
    const slow = start('worker', { HELIX_DEMO_STEP_MS: '600000' });
    const job = await submit(base);
    await waitFor('the task to be taken', async () => (await jobOf(base, job.id)).tasks[0]?.status === 'running');
    assert.equal(await slow.stop(), 0);
    assert.equal((await jobOf(base, job.id)).tasks[0]?.status, 'pending');
    start('worker');
    assert.equal((await ended(base, job.id)).tasks[0]?.attempts, 1);
  });

  it('are healthy, unhealthy and healthy again as the database comes, goes and comes back', async () => {
    const [orchestrator, worker] = [start('orchestrator'), start('worker')];
    const { program, base } = await startApi();
    await waitFor('health', async () => (await health(base)).status === 200);
    const { components, workspace } = (await health(base)).body;
    assert.deepEqual(components, { database: 'healthy', api: 'healthy' });
    // As the proxy names it: the folder that it runs in.
    assert.equal(workspace, workspaceId(realpathSync(services)));

    await postgres.stop();
    const down = await waitFor('503', async () => {
      const answer = await health(base);
      return answer.status === 503 && answer;
    });
    assert.deepEqual(down.body, { detail: 'Service unhealthy' });
    assert.equal((await post(base, { prompt: PROMPT })).status, 503);
    await worker.prints(/database not reachable/);

    postgres = await whole.readyPostgres(config);
    await waitFor('health again', async () => (await health(base)).status === 200);
    const job = await submit(base);
    assert.equal((await ended(base, job.id)).status, 'completed');
    for (const one of [program, orchestrator, worker]) assert.ok(one.running);
  });

  it('make their tables anew when these vanish', async () => {
    start('orchestrator');
    start('worker');
    const { base } = await startApi();
    await ended(base, (await submit(base)).id);
    await withClient(config, client => client.query('DROP SCHEMA helix_demo CASCADE'));
    const job = await waitFor('a job to be taken', async () => {
      const response = await post(base, { prompt: PROMPT });
      return response.status === 201 && ((await response.json()) as JobView);
    });
    assert.equal((await ended(base, job.id)).status, 'completed');
  });

  it('refuse bad input with FastAPI’s shapes', async () => {
    const { base } = await startApi();
    const invalid = await post(base, { layout: 'nope' });
    assert.equal(invalid.status, 422);
    const { detail } = (await invalid.json()) as { detail: { loc: string[]; type: string }[] };
    assert.deepEqual(
      detail.map(one => one.loc.join('.')),
      ['body.prompt', 'body.layout'],
    );

    const raw = (init: RequestInit): Promise<Response> => fetch(`${base}/api/v1/jobs`, { method: 'POST', ...init });
    const json = { 'Content-Type': 'application/json' };
    assert.equal((await raw({ headers: json, body: '{' })).status, 422);
    assert.equal((await raw({ headers: json, body: JSON.stringify({ prompt: 'x'.repeat(70_000) }) })).status, 413);
    assert.equal((await raw({ headers: { 'Content-Type': 'text/plain' }, body: '{}' })).status, 415);
    const get = async (path: string): Promise<number> => (await fetch(base + path)).status;
    assert.equal(await get('/api/v1/jobs/nope'), 422);
    assert.equal(await get('/api/v1/jobs?limit=0'), 422);
    assert.equal(await get('/api/v1/jobs/00000000-0000-0000-0000-000000000000'), 404);
    assert.equal(await get('/nowhere'), 404);
    assert.equal(await get('/docs/../api.cjs'), 404);
    assert.equal(await get('/docs/%2e%2e%2fapi.cjs'), 404);
    const wrong = await fetch(`${base}/api/v1/health`, { method: 'DELETE' });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'GET');

    const job = await submit(base);
    const unfinished = await fetch(`${base}/api/v1/jobs/${job.id}/result`);
    assert.equal(unfinished.status, 409);
  });

  it('serve the page, its parts and the documentation from their own folder', async () => {
    const { base } = await startApi();
    for (const path of ['/', '/docs']) {
      const response = await fetch(base + path);
      assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
      assert.match(response.headers.get('content-security-policy') ?? '', /script-src 'self';/);
      const html = await response.text();
      const parts = [...html.matchAll(/(?:src|href)="([^"]+\.(?:js|css|svg))"/g)].map(match => match[1] ?? '');
      assert.ok(parts.length >= 2);
      if (path === '/') assert.ok(parts.includes('ui/port-discovery.js'), parts.join());
      for (const part of parts) {
        assert.equal((await fetch(new URL(part, base + path))).status, 200, part);
      }
    }
    const openapi = (await (await fetch(`${base}/openapi.json`)).json()) as { paths: object };
    assert.ok('/api/v1/jobs/{id}/result' in openapi.paths);
  });

  it('allow the assigned origin and no other', async () => {
    const { base } = await startApi({ ALLOWED_ORIGINS: 'http://localhost:8023, http://127.0.0.1:8023' });
    const allowed = async (origin: string): Promise<string | null> =>
      (await fetch(`${base}/openapi.json`, { headers: { Origin: origin } })).headers.get('access-control-allow-origin');
    assert.equal(await allowed('http://127.0.0.1:8023'), 'http://127.0.0.1:8023');
    assert.equal(await allowed('http://127.0.0.1:8024'), null);
  });

  it('end with code 1 and Node’s text when the port is taken', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanup.add(() => void server.close());
    const { port } = server.address() as { port: number };
    const program = start('api', { API_PORT: String(port) });
    assert.equal((await program.exited).code, 1);
    assert.match(program.output, /listen EADDRINUSE: address already in use 127\.0\.0\.1/);
  });

  it('end cleanly while there is no database at all', async () => {
    const nowhere = { POSTGRES_PORT: String(await getPort()) };
    const { program, base } = await startApi(nowhere);
    const others = [start('orchestrator', nowhere), start('worker', nowhere)];
    await Promise.all(others.map(one => one.prints(/database not reachable/)));
    assert.equal((await health(base)).status, 503);
    for (const one of [program, ...others]) assert.equal(await one.stop(), 0);
  });
});
