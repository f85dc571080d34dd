import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Server } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Port } from '../../../src/model/port.ts';
import { allocateFromBand, describeUse } from '../../../src/ports/allocate.ts';
import { leaseOwners, type LeaseOwner, leasePort } from '../../../src/ports/lease.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, freeBand, portsOf } from '../run/harness.ts';

const OWNER: LeaseOwner = { pid: process.pid, user: 'tester', workspace: '/here', service: 'test' };
const RACERS = 64;

describe('lease', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let port: Port;

  beforeEach(async () => {
    port = (await freeBand(1)).from;
  });

  afterEach(() => cleanup.run());

  function program(name: string, args: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [join(__dirname, name), ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.on('error', () => undefined);
    cleanup.add(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    return child;
  }

  async function lineOf(child: ChildProcess): Promise<string> {
    const lines = createInterface({ input: child.stdout! });
    const [line] = (await once(lines, 'line')) as [string];
    return line;
  }

  const holder = (): ChildProcess => program('lease-holder.cjs', [String(port)]);

  async function take(one: Port): Promise<void> {
    const lease = await leasePort(one, OWNER);
    assert.ok(lease, `${one} is free`);
    cleanup.add(() => lease.release());
  }

  /** A UDP service of somebody else's; `answer` is what it says to whatever it is told. */
  async function foreignUdp(one: Port, answer?: string): Promise<void> {
    const socket = createSocket('udp4');
    socket.bind(one, '127.0.0.1');
    await once(socket, 'listening');
    socket.on('message', (message, from) => socket.send(answer ?? message, from.port, from.address));
    cleanup.add(() => new Promise<void>(resolve => socket.close(() => resolve())));
  }

  it('is exclusive across processes, and gone the instant its holder is killed', async () => {
    const [one, other] = [holder(), holder()];
    const [first, second] = await Promise.all([lineOf(one), lineOf(other)]);
    assert.deepEqual([first, second].sort(), ['held', 'refused']);
    assert.equal(await leasePort(port, OWNER), undefined);
    const winner = first === 'held' ? one : other;
    const ended = once(winner, 'exit');
    winner.kill('SIGKILL');
    await ended;
    await take(port);
  });

  it('is exclusive within a process, and free after release, asked for once or twice', async () => {
    const lease = await leasePort(port, OWNER);
    assert.equal(await leasePort(port, OWNER), undefined);
    await Promise.all([lease!.release(), lease!.release()]);
    const next = await leasePort(port, OWNER);
    await lease!.release();
    assert.equal(await leasePort(port, OWNER), undefined, 'the first one is no longer ours to release');
    await next!.release();
  });

  it('tells who holds it', async () => {
    const child = holder();
    await lineOf(child);
    const owners = await leaseOwners([port]);
    assert.deepEqual(owners.get(port), { pid: child.pid, user: 'alice', workspace: '/work', service: 'api' });
    assert.equal((await describeUse([port])).get(port), `HELIX service api of /work (alice, pid ${child.pid})`);
  });

  it('tells of many at once, in whatever order and however often they are asked for', async () => {
    const ports = portsOf(await freeBand(20));
    for (const one of ports.slice(0, 10)) await take(one);
    const owners = await leaseOwners([...ports, ...ports]);
    assert.deepEqual([...owners.keys()].sort(), ports.slice(0, 10));
    assert.equal((await leaseOwners([])).size, 0);
  });

  it("is not had, and its owner not known, where somebody else's UDP service is", async () => {
    for (const answer of [undefined, '', 'no JSON', '{"pid":"1","service":"x"}', 'null']) {
      const { from: foreign } = await freeBand(1);
      await foreignUdp(foreign, answer);
      assert.equal(await leasePort(foreign, OWNER), undefined);
      assert.equal((await leaseOwners([foreign], 50)).size, 0);
    }
  });

  it('does not disturb a TCP listener of the same number', async () => {
    await take(port);
    await cleanup.stranger(port, 'tcp');
    assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'tcp');
  });

  it('keeps its port from being probed: no TCP listener ever appears on it', async () => {
    const band = await freeBand(12);
    const ports = portsOf(band);
    const [foreign, free, ...leased] = ports;
    for (const one of leased) await take(one);
    await foreignUdp(foreign!);
    const listened = new Set<unknown>();
    const listen = Reflect.get(Server.prototype, 'listen') as (...args: unknown[]) => Server;
    // Every listener of this process, the probe's too, comes through here.
    Server.prototype.listen = function (this: Server, ...args: unknown[]) {
      const [where] = args;
      listened.add(typeof where === 'object' && where !== null ? (where as { port?: unknown }).port : where);
      return Reflect.apply(listen, this, args);
    };
    cleanup.add(() => void (Server.prototype.listen = listen));
    for (let round = 0; round < 10; round++) {
      const lease = await allocateFromBand(band, { owner: OWNER });
      assert.equal(lease.port, free);
      await lease.release();
    }
    await take(free!);
    await assert.rejects(allocateFromBand(band, { owner: OWNER }), /No free port/);
    assert.deepEqual([...listened], [free], 'only the port that was leased for it');
  });

  it(`is never granted twice: ${RACERS} processes, three bands, 50 ms from lease to bind`, async () => {
    const bands = [await freeBand(100), await freeBand(100), await freeBand(100)];
    const racers = Array.from({ length: RACERS }, () =>
      program(
        'lease-racer.cjs',
        bands.map(({ from, to }) => `${from}-${to}`),
      ),
    );
    const outputs = racers.map(racer => {
      const lines: string[] = [];
      createInterface({ input: racer.stdout! }).on('line', line => lines.push(line));
      return lines;
    });
    const all = (count: number): Promise<unknown> =>
      waitFor(`line ${count} of everyone`, () => outputs.every(lines => lines.length >= count), { interval: 20 });
    await all(1);
    for (const racer of racers) racer.stdin!.write('go\n');
    await all(2);
    const results = outputs.map(([, line]) => JSON.parse(line!) as { ports: number[]; collisions: string[] });
    assert.deepEqual(
      results.flatMap(result => result.collisions),
      [],
    );
    assert.equal(new Set(results.flatMap(result => result.ports)).size, RACERS * bands.length);
    for (const racer of racers) racer.stdin!.end();
  });
});
