import { strict as assert } from 'node:assert';
import { DEFAULT_RESTART } from '../../../src/model/restart-policy.ts';
import { hasPassed, verifyMarkdown, type VerifyReport, verifyText } from '../../../src/model/verify-report.ts';
import type { PlannedService } from '../../../src/model/plan.ts';
import { type BrowserFinding, findInNode } from '../../../src/session/browser-check.ts';
import type { Stack } from '../../../src/session/stack.ts';
import { verifyDeployment, type VerifyOptions } from '../../../src/session/verify.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup } from '../run/harness.ts';
import { snapshotOf, World } from './harness.ts';

/** A HELIX API as pages recognise it. `SIGUSR2` makes its database go away. */
const API = `
  let well = true;
  process.on('SIGUSR2', () => { well = !well; });
  require('node:http').createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url === '/api/v1/health') response.statusCode = well ? 200 : 503;
    response.end(JSON.stringify(well ? { status: 'healthy', components: { api: 'healthy' } } : { detail: 'away' }));
  }).listen(Number(process.env.PORT), '127.0.0.1');
`;

describe('the verification of a deployment', function () {
  this.timeout(240_000);
  const cleanup = new Cleanup();
  let world: World;

  beforeEach(async () => {
    world = await World.make(cleanup);
  });
  afterEach(() => cleanup.run());

  async function running(changes: Partial<PlannedService> = {}): Promise<Stack> {
    const readiness = { kind: 'http', path: '/api/v1/health', status: 200 } as const;
    world.service('api', { changes: { command: [process.execPath, '-e', API], readiness, ...changes } });
    world.service('worker', { dependsOn: ['api'] });
    const stack = world.stack();
    assert.equal((await stack.start()).kind, 'started');
    return stack;
  }

  const verify = (stack: Stack, options: Partial<VerifyOptions> = {}): Promise<VerifyReport> =>
    verifyDeployment(stack, { sparing: undefined, browser: findInNode, ...options });

  const outcomes = ({ results }: VerifyReport): string[] => results.map(({ id, outcome }) => `${id} ${outcome}`);
  const seen = ({ results }: VerifyReport, id: string): string => results.find(one => one.id === id)!.seen;

  it('passes on a stack that is well, and leaves it where it was', async () => {
    const stack = await running();
    const [api, worker] = stack.snapshot.services;
    const report = await verify(stack);
    assert.deepEqual(
      outcomes(report),
      ['portDiscovery', 'dynamicPort', 'browser', 'health', 'recovery', 'portConflict'].map(id => `${id} passed`),
      verifyText(report),
    );
    assert.deepEqual(report.left, []);
    assert.ok(hasPassed(report));
    const after = snapshotOf(stack, api!.id);
    assert.equal(after.port, api!.port);
    assert.notEqual(after.pid, api!.pid);
    assert.equal(snapshotOf(stack, worker!.id).pid, worker!.pid);
    assert.match(seen(report, 'portConflict'), new RegExp(`now it is on ${api!.port} again`));
    assert.match(verifyText(report), /6 passed, 0 failed, 0 skipped$/);
  });

  it('kills and moves nothing where that is not wanted, and says so', async () => {
    const stack = await running();
    const before = stack.snapshot.services.map(one => one.pid);
    const report = await verify(stack, { sparing: 'not wanted' });
    assert.deepEqual(outcomes(report).slice(4), ['recovery skipped', 'portConflict skipped']);
    assert.equal(seen(report, 'recovery'), 'not wanted');
    assert.ok(hasPassed(report));
    assert.deepEqual(
      stack.snapshot.services.map(one => one.pid),
      before,
    );
  });

  it('fails on a stack that does not run, and does not start it', async () => {
    world.service('api');
    const stack = world.stack();
    await stack.connect();
    const report = await verify(stack);
    assert.deepEqual(outcomes(report), [
      'portDiscovery passed',
      ...['dynamicPort', 'browser', 'health', 'recovery', 'portConflict'].map(id => `${id} failed`),
    ]);
    assert.match(seen(report, 'health'), /API is stopped\. Start HELIX first/);
    assert.equal(hasPassed(report), false);
    assert.deepEqual(report.left, []);
    assert.deepEqual(await world.story(), []);
  });

  it('fails when the browser finds nothing, or another one’s API', async () => {
    const stack = await running();
    const found = (finding: Partial<BrowserFinding>): Promise<VerifyReport> =>
      verify(stack, {
        sparing: 'no',
        browser: () => Promise.resolve({ with: 'a test', base: undefined, by: undefined, reached: false, ...finding }),
      });
    for (const [finding, said] of [
      [{ problem: 'nothing answered' }, /no API was found .* with a test: nothing answered/],
      [{ base: 'http://127.0.0.1:1', by: 'band', reached: true }, /this workspace's API is at http/],
      [{ base: 'http://127.0.0.1:1', by: 'band', problem: 'refused' }, /not reached: refused/],
    ] as const) {
      const report = await found(finding);
      assert.ok(outcomes(report).includes('browser failed'));
      assert.match(seen(report, 'browser'), said);
    }
  });

  it('fails when the health is not what it should be', async () => {
    const stack = await running();
    const { pid, url } = stack.snapshot.services[0]!;
    process.kill(pid!, 'SIGUSR2');
    await waitFor('another health', async () => (await fetch(`${url}/api/v1/health`)).status === 503);
    const report = await verify(stack, { sparing: 'no' });
    assert.ok(outcomes(report).includes('health failed'));
    assert.match(seen(report, 'health'), /answers 503|is unhealthy/);
    assert.equal(hasPassed(report), false);
  });

  it('fails when a service that is killed does not come back, and says what is left', async () => {
    const stack = await running({ restart: { ...DEFAULT_RESTART, policy: 'never' } });
    const report = await verify(stack);
    assert.deepEqual(outcomes(report).slice(4), ['recovery failed', 'portConflict failed']);
    assert.match(seen(report, 'recovery'), /API failed: ended by SIGKILL/);
    assert.match(report.left.join(), /^api was healthy on \d+, and is failed$/);
    assert.equal(hasPassed(report), false);
    assert.match(verifyText(report), /Not as it was found: api was healthy/);
  });

  it('is cancelled between two items, and what was moved is moved back', async () => {
    const stack = await running();
    const { port } = stack.snapshot.services[0]!;
    const controller = new AbortController();
    const report = await verify(stack, {
      signal: controller.signal,
      onProgress: title => {
        if (title.startsWith('With its port taken')) setTimeout(() => controller.abort(), 50);
      },
    });
    assert.equal(report.results[4]!.outcome, 'passed');
    assert.deepEqual(report.left, []);
    assert.equal(stack.snapshot.services[0]!.port, port);
  });

  it('is a page in which nothing that services say is markup', () => {
    const text = verifyMarkdown({
      workspace: '/home/me/<b>',
      at: 0,
      results: [{ id: 'health', outcome: 'failed', title: 'T', done: 'a|b', seen: '<img src=x> [x](y)\n`c`', ms: 5 }],
      left: ['*x*'],
    });
    assert.ok(!/<img|<b>|\[x\]|`c`|a\|b|\*x\*/.test(text), text);
    assert.match(text, /\*\*0 passed, 1 failed, 0 skipped\*\*/);
  });
});
