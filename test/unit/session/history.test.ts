import { strict as assert } from 'node:assert';
import type { HealthCheck } from '../../../src/model/health-history.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, SERVICES } from '../run/harness.ts';
import { snapshotOf, World } from './harness.ts';

/** Prints a line whenever it is asked for its health. */
const TALKER = SERVICES.http.replace('response.writeHead', "console.log('asked'); response.writeHead");

describe('the history of a stack', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let world: World;

  beforeEach(async () => {
    world = await World.make(cleanup);
  });
  afterEach(() => cleanup.run());

  it('comes from the supervisors, to any client, and is empty for what does not run', async () => {
    const api = world.service('api');
    const idle = world.service('idle');
    const stack = world.stack();
    assert.equal((await stack.start({ only: [api] })).kind, 'started');
    const other = world.stack();
    await other.connect();
    const [first, second] = await other.histories();
    assert.equal(first?.id, api);
    assert.ok(first.checks.some(one => one.outcome === 'ok' && one.port === snapshotOf(other, api).port));
    assert.deepEqual(second, { id: idle, checks: [], restarts: [], dropped: 0 });
    assert.equal((await other.history(api, 1)).checks.length, 1);
  });

  it('is told as it grows to those who look on, also of what starts later', async () => {
    const api = world.service('api', { changes: { command: [process.execPath, '-e', TALKER] } });
    const stack = world.stack();
    const checks: HealthCheck[] = [];
    const lines: string[] = [];
    // Before there is a supervisor.
    const watching = stack.watch({
      onCheck: (id, check) => void (id === api && checks.push(check)),
      onOutput: (id, more) => void (id === api && lines.push(...more)),
    });
    assert.equal((await stack.start()).kind, 'started');
    await waitFor('checks and lines', () => checks.some(one => one.outcome === 'ok') && lines.includes('asked'));
    watching.dispose();
    // The supervisor answers in order: once it has answered this, nothing that it told before is under way any more.
    const { checks: kept } = await stack.history(api);
    const heard = checks.length;
    assert.ok(kept.some(one => one.at === checks[0]!.at));
    await waitFor('one more check', async () => (await stack.history(api)).checks.length > kept.length);
    assert.equal(checks.length, heard);
  });
});
