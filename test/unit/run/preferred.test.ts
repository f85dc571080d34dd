import { strict as assert } from 'node:assert';
import { rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { Port } from '../../../src/model/port.ts';
import type { PortRequest } from '../../../src/model/service.ts';
import { Bench, Cleanup, close, portsOf } from './harness.ts';

/** So many that the same one twice is hardly by chance. */
const BAND_SIZE = 40;

describe('a preferred port', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let bench: Bench;
  let request: PortRequest & { kind: 'band' };
  const preferred = (): Port => request.preferred!;

  beforeEach(async () => {
    bench = await Bench.make(cleanup, BAND_SIZE);
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

  describe('that is not always to be had', () => {
    let stranger: Server | undefined;

    /** The port of one run, from its start to its end. */
    async function portOfRun(port: PortRequest = request): Promise<Port> {
      const supervisor = await bench.run(bench.spec({ port }));
      const had = supervisor.snapshot.port as Port;
      await supervisor.close();
      return had;
    }

    async function hold(): Promise<void> {
      stranger = await cleanup.stranger(preferred());
    }

    const letGo = (): Promise<void> => close(stranger!);

    async function portOfRunBeside(): Promise<Port> {
      await hold();
      const port = await portOfRun();
      await letGo();
      return port;
    }

    async function changeRecord(changes: Record<string, unknown>): Promise<void> {
      await writeFile(bench.file(`${bench.id}.json`), JSON.stringify({ ...(await bench.record()), ...changes }));
    }

    it('leaves the service its own port of the band for the time that it is not', async () => {
      const own = await portOfRunBeside();
      for (let round = 0; round < 2; round++) {
        assert.equal(await portOfRun(), preferred());
        assert.equal(await portOfRun(), preferred());
        assert.equal(await portOfRunBeside(), own);
        assert.equal(await portOfRunBeside(), own);
      }
    });

    it('does so in one supervisor that is started again and again, though its record gets lost', async () => {
      await hold();
      const supervisor = await bench.run(bench.spec({ port: request }));
      const { port: own } = supervisor.snapshot;
      const again = async (): Promise<number | undefined> => {
        await supervisor.stop();
        await rm(bench.file(`${bench.id}.json`));
        supervisor.startAgain();
        await bench.until(supervisor, 'healthy');
        return supervisor.snapshot.port;
      };
      await letGo();
      assert.equal(await again(), preferred());
      await supervisor.stop();
      await hold();
      assert.equal(await again(), own);
    });

    it('does so after runs that had it for a fixed one, and after one that failed for want of it', async () => {
      const own = await portOfRunBeside();
      const fixed: PortRequest = { kind: 'fixed', port: preferred() };
      assert.equal(await portOfRun(fixed), preferred());
      assert.equal(await portOfRunBeside(), own);
      await hold();
      const failed = await bench.run(bench.spec({ port: fixed }), 'failed');
      await failed.close();
      assert.equal(await portOfRun(), own);
    });

    it('does so after a start that was stopped before it had a port', async () => {
      const own = await portOfRunBeside();
      const supervisor = await bench.supervisor();
      supervisor.start(bench.spec({ port: request }));
      await supervisor.close();
      assert.equal(await portOfRunBeside(), own);
    });

    it('does so after a supervisor that was killed while it had it', async () => {
      const own = await portOfRunBeside();
      await portOfRun();
      await changeRecord({ wanted: 'running' });
      assert.equal(await portOfRunBeside(), own);
    });

    it('does not take the service away from where a supervisor was killed', async () => {
      const own = await portOfRunBeside();
      await portOfRun();
      assert.equal(await portOfRunBeside(), own);
      await changeRecord({ wanted: 'running' });
      assert.equal(await portOfRun(), own, 'though the preferred one is free');
    });

    for (const [what, kind] of [
      ['on the preferred port', 'band'],
      ['on a fixed port', 'fixed'],
    ] as const) {
      it(`does so with a record that knows one port only, after a run ${what}`, async () => {
        await portOfRunBeside();
        const { sticky, ...record } = await bench.record();
        assert.equal(sticky, undefined);
        const own = portsOf(request.band)[7]!;
        await writeFile(bench.file(`${bench.id}.json`), JSON.stringify({ ...record, port: own }));
        assert.equal(await portOfRun(kind === 'band' ? request : { kind, port: preferred() }), preferred());
        assert.equal(await portOfRunBeside(), own);
      });
    }

    it('goes with a record of the preferred port alone', async () => {
      assert.equal(await portOfRun(), preferred());
      assert.equal((await bench.record())['sticky'], undefined);
      const own = await portOfRunBeside();
      assert.notEqual(own, preferred());
      assert.equal(await portOfRunBeside(), own);
    });

    it('leaves the service another one from when its own is taken', async () => {
      const own = await portOfRunBeside();
      assert.equal(await portOfRun(), preferred());
      const taken = await cleanup.stranger(own);
      const other = await portOfRunBeside();
      assert.notEqual(other, own);
      await close(taken);
      assert.equal(await portOfRun(), preferred());
      assert.equal(await portOfRunBeside(), other);
    });

    it('leaves the service the one that it was rolled to', async () => {
      await hold();
      const supervisor = await bench.run(bench.spec({ port: request }));
      const { port: before } = supervisor.snapshot;
      assert.deepEqual(await supervisor.roll(), { kind: 'rolled' });
      const { port: rolledTo } = supervisor.snapshot;
      assert.notEqual(rolledTo, before);
      await supervisor.close();
      await letGo();
      assert.equal(await portOfRun(), preferred());
      assert.equal(await portOfRunBeside(), rolledTo);
    });

    it('costs no start where the record is damaged, or gone', async () => {
      await portOfRunBeside();
      await portOfRun();
      for (const sticky of [0, 70_000, '8301', null, {}]) {
        await changeRecord({ sticky });
        assert.equal(await portOfRun(), preferred(), `with ${JSON.stringify(sticky)}`);
      }
      await rm(bench.file(`${bench.id}.json`));
      assert.equal(await portOfRun(), preferred());
    });

    it('leads to the band where the record tells a sticky one that lies outside of it', async () => {
      await portOfRun();
      await changeRecord({ sticky: preferred() + BAND_SIZE });
      assert.ok(portsOf(request.band).includes(await portOfRunBeside()));
    });
  });
});
