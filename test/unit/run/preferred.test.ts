import { strict as assert } from 'node:assert';
import type { PortRequest } from '../../../src/model/service.ts';
import { Bench, Cleanup, portsOf } from './harness.ts';

describe('a preferred port', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let bench: Bench;
  let request: PortRequest & { kind: 'band' };
  const preferred = (): number => request.preferred!;

  beforeEach(async () => {
    bench = await Bench.make(cleanup, 4);
    const [first, ...rest] = portsOf(bench.band);
    request = { kind: 'band', band: { from: rest[0]!, to: rest.at(-1)! }, preferred: first! };
  });

  afterEach(() => cleanup.run());

  it('is taken though it lies outside of the band, and nothing is said', async () => {
    const { snapshot } = await bench.run(bench.spec({ port: request }));
    assert.equal(snapshot.port, preferred());
    assert.equal(snapshot.note, undefined);
  });

  it('that somebody has is told with its holder; the service keeps the other one until it is started anew', async () => {
    const stranger = await cleanup.stranger(preferred());
    const supervisor = await bench.run(bench.spec({ port: request }));
    const { port, note } = supervisor.snapshot;
    assert.notEqual(port, preferred());
    assert.match(
      note ?? '',
      new RegExp(`^${preferred()} is (taken by .*pid ${process.pid}.*|left to others); here it is ${port}$`),
    );
    await new Promise(resolve => stranger.close(resolve));
    await supervisor.restart();
    await bench.until(supervisor, 'healthy');
    assert.equal(supervisor.snapshot.port, port, 'a running one does not move');
    await supervisor.stop();
    supervisor.startAgain();
    await bench.until(supervisor, 'healthy');
    assert.deepEqual([supervisor.snapshot.port, supervisor.snapshot.note], [preferred(), undefined]);
  });
});
