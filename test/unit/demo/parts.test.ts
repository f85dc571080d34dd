import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { loadEnvironment } from '../../../src/demo/environment.ts';
import { HttpError, corsHeaders, preflight } from '../../../src/demo/http.ts';
import { createLog, usesColour } from '../../../src/demo/log.ts';
import { parseJob } from '../../../src/demo/routes.ts';
import { BANDS, POSTGRES_PORT } from '../../../src/model/defaults.ts';
import { Cleanup } from '../postgres/harness.ts';

describe('demo parts', () => {
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  describe('environment', () => {
    it('takes what is set before .env, and .env before the defaults', async () => {
      const folder = await cleanup.folder();
      await writeFile(
        join(folder, '.env'),
        'API_PORT=\nPOSTGRES_HOST=from-file\nPOSTGRES_USER=from-file\nLOG_LEVEL=debug\n',
      );
      const env = loadEnvironment(folder, { POSTGRES_HOST: 'from-process', POSTGRES_PASSWORD: 'p' });
      assert.equal(env.postgres.host, 'from-process');
      assert.equal(env.postgres.user, 'from-file');
      assert.equal(env.postgres.port, POSTGRES_PORT);
      assert.equal(env.apiPort, BANDS.api.from);
      assert.equal(env.logLevel, 'DEBUG');
      assert.equal(loadEnvironment(folder, { API_PORT: '8023' }).apiPort, 8023);
    });

    it('refuses what is no port and no time', async () => {
      const folder = await cleanup.folder();
      assert.throws(() => loadEnvironment(folder, { API_PORT: '80x' }), /API_PORT=80x is not a port/);
      assert.throws(() => loadEnvironment(folder, { HELIX_DEMO_STEP_MS: '-1' }), /HELIX_DEMO_STEP_MS/);
    });
  });

  it('logs from its level on, with colour only where it is wanted', () => {
    const lines: string[] = [];
    const log = createLog('WARNING', line => lines.push(line), false);
    log.info('quiet');
    log.warn('heard');
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d\.\d{3} WARNING heard\n$/);
    assert.equal(usesColour({ FORCE_COLOR: '1', NO_COLOR: '1' }, false), true);
    assert.equal(usesColour({ FORCE_COLOR: '0' }, true), false);
    assert.equal(usesColour({ NO_COLOR: '1' }, true), false);
    assert.equal(usesColour({}, true), true);
  });

  it('answers foreign origins only when the whole of them is allowed', () => {
    const from = (origin?: string): IncomingMessage => ({ headers: { origin } }) as IncomingMessage;
    const allowed = ['http://localhost:8023', 'http://localhost:*'];
    assert.equal(
      corsHeaders(from('http://localhost:8023'), allowed)['Access-Control-Allow-Origin'],
      'http://localhost:8023',
    );
    for (const origin of [
      undefined,
      'http://localhost:8024',
      'http://localhost:80230',
      'null',
      'https://localhost:8023',
    ]) {
      assert.deepEqual(corsHeaders(from(origin), allowed), { Vary: 'Origin' });
    }
    assert.equal(preflight(from('http://localhost:8023'), allowed).status, 204);
    assert.equal(preflight(from('http://evil.example'), allowed).status, 400);
  });

  describe('a new job', () => {
    const problemsOf = (body: unknown): unknown[] => {
      try {
        parseJob(body);
        return [];
      } catch (error) {
        assert.ok(error instanceof HttpError && error.status === 422);
        return (error.detail as { type: string; loc: string[] }[]).map(({ type, loc }) => `${loc.join('.')} ${type}`);
      }
    };

    it('is taken with a prompt and perhaps a layout', () => {
      assert.deepEqual(parseJob({ prompt: ' x ' }), { prompt: 'x', layout: null });
      assert.deepEqual(parseJob({ prompt: 'x', layout: 'shop', more: 1 }), { prompt: 'x', layout: 'shop' });
    });

    it('is refused with every problem named, as FastAPI does', () => {
      assert.deepEqual(problemsOf({}), ['body.prompt missing']);
      assert.deepEqual(problemsOf({ prompt: 1, layout: 'x' }), ['body.prompt string_type', 'body.layout enum']);
      assert.deepEqual(problemsOf({ prompt: '  ' }), ['body.prompt string_too_short']);
      assert.deepEqual(problemsOf({ prompt: 'x'.repeat(5000) }), ['body.prompt string_too_long']);
      assert.deepEqual(problemsOf({ prompt: 'a\0b' }), ['body.prompt value_error']);
      for (const body of [null, [], 'text', 3]) assert.deepEqual(problemsOf(body), ['body model_attributes_type']);
    });
  });
});
