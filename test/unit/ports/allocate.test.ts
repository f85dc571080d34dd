import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { delay } from '../../../src/base/async.ts';
import { CancelledError, UserError } from '../../../src/base/errors.ts';
import { type Band, inBand, type Port, toPort } from '../../../src/model/port.ts';
import { allocate, allocateFixed, allocateFromBand } from '../../../src/ports/allocate.ts';
import type { Lease, LeaseOwner } from '../../../src/ports/lease.ts';
import { leasePort } from '../../../src/ports/lease.ts';
import { canBind } from '../../../src/ports/probe.ts';
import { Cleanup, freeBand, portsOf } from '../run/harness.ts';

const OWNER: LeaseOwner = { pid: process.pid, user: 'tester', workspace: '/here', service: 'api' };
const hasIPv6 = Object.values(networkInterfaces()).some(all => all?.some(one => one.address === '::1'));

/** Binds a port without listening on it and without SO_REUSEADDR, which Node cannot. */
const BINDERS = [
  [
    'perl',
    '-MSocket',
    '-e',
    '$|=1; socket(S,PF_INET,SOCK_STREAM,0); bind(S,sockaddr_in($ARGV[0],INADDR_LOOPBACK)) or die; print "bound\n"; sleep 600',
  ],
  [
    'python3',
    '-c',
    'import socket,sys,time\ns=socket.socket()\ns.bind(("127.0.0.1",int(sys.argv[1])))\nprint("bound",flush=True)\ntime.sleep(600)',
  ],
] as const;

describe('allocate', function () {
  this.timeout(60_000);
  const cleanup = new Cleanup();
  let band: Band;

  beforeEach(async () => {
    band = await freeBand(10);
  });

  afterEach(() => cleanup.run());

  async function allocated(options: Partial<Parameters<typeof allocateFromBand>[1]> = {}): Promise<Lease> {
    const lease = await allocateFromBand(band, { owner: OWNER, ...options });
    cleanup.add(() => lease.release());
    return lease;
  }

  async function occupyAllBut(free: Port | undefined, host?: string): Promise<void> {
    for (const port of portsOf(band)) if (port !== free) await cleanup.stranger(port, '', host);
  }

  it('yields the one free port of a band, every time', async () => {
    for (const free of portsOf(band).slice(0, 3)) {
      await occupyAllBut(free);
      for (let round = 0; round < 5; round++) {
        const lease = await allocateFromBand(band, { owner: OWNER });
        assert.equal(lease.port, free);
        await lease.release();
      }
      await cleanup.run();
    }
  });

  it('holds what it yields until it is released', async () => {
    const lease = await allocated();
    assert.equal(await leasePort(lease.port, OWNER), undefined);
    await lease.release();
    const again = await leasePort(lease.port, OWNER);
    await again!.release();
  });

  it('yields the sticky port as long as it is free', async () => {
    const sticky = portsOf(band)[7]!;
    const lease = await allocated({ sticky });
    assert.equal(lease.port, sticky);
    assert.notEqual((await allocated({ sticky })).port, sticky);
  });

  it('gives all ports of a band to those who ask at once, each to one', async () => {
    const leases = await Promise.all(portsOf(band).map(() => allocated()));
    assert.deepEqual(leases.map(lease => lease.port).sort(), portsOf(band));
  });

  it('leaves what it looked at and did not take to others', async () => {
    await occupyAllBut(undefined);
    await assert.rejects(allocated(), UserError);
    for (const port of portsOf(band)) {
      const lease = await leasePort(port, OWNER);
      assert.ok(lease, `${port} is not leased`);
      await lease.release();
    }
  });

  for (const [what, host, needsIPv6] of [
    ['127.0.0.1 alone', '127.0.0.1', false],
    ['every IPv4 address', '0.0.0.0', false],
    ['another loopback address', '127.0.0.2', false],
    ['::1 alone', '::1', true],
    ['every address', '::', true],
  ] as const) {
    it(`passes over a port that somebody listens on at ${what}`, async function () {
      if ((needsIPv6 && !hasIPv6) || (host === '127.0.0.2' && process.platform !== 'linux')) return this.skip();
      const [, , free] = portsOf(band);
      await occupyAllBut(free, host);
      assert.equal((await allocated()).port, free);
    });
  }

  it('passes over a port that is bound but not listened on', async function () {
    const binder = BINDERS.find(([program]) => spawnSync(program, ['--version']).status === 0);
    if (!binder) {
      this.test!.title += ' (skipped: neither perl nor python3 here)';
      return this.skip();
    }
    const [program, ...args] = binder;
    const [port] = portsOf(band);
    const child: ChildProcess = spawn(program, [...args, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    cleanup.add(async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    });
    await once(child.stdout!, 'data');
    assert.equal(await canBind(port!), false);
    await assert.rejects(allocateFixed(port!, OWNER), /is taken by another process/);
    assert.notEqual((await allocated({ sticky: port! })).port, port);
  });

  it('finds a port bindable again as soon as its listener is gone, though connections to it remain', async () => {
    const [port] = portsOf(band);
    const script = `
      require('node:net').createServer(socket => socket.write('x')).listen(Number(process.env.PORT), '127.0.0.1',
        () => console.log('up'));
    `;
    const server = await cleanup.program(script, { PORT: String(port) });
    await server.prints(/up/);
    const socket = connect(port!, '127.0.0.1').on('error', () => undefined);
    await once(socket, 'data');
    await server.kill();
    assert.equal(await canBind(port!), true);
    socket.destroy();
  });

  describe('in an exhausted band', () => {
    it('names the band, who holds its ports, and how to widen it', async () => {
      band = { from: band.from, to: toPort(band.from + 7) };
      const [leased, ...rest] = portsOf(band);
      const lease = await leasePort(leased!, { pid: 42, user: 'alice', workspace: '/other', service: 'worker' });
      cleanup.add(() => lease!.release());
      for (const port of rest) await cleanup.stranger(port);
      const error = await allocated().catch((one: unknown) => one);
      assert.ok(error instanceof UserError);
      const { message } = error;
      assert.ok(message.startsWith(`No free port for api in ${band.from}-${band.to} (8 tried). Held by `), message);
      assert.ok(message.includes(`${leased}: HELIX service worker of /other (alice, pid 42); `), message);
      assert.match(message, new RegExp(`${rest[0]}: pid ${process.pid} \\(`));
      assert.match(message, / and 3 more\. Stop some of them, or widen the band: /);
      assert.ok(
        message.includes(`"services": { "api": { "port": { "from": ${band.from}, "to": ${band.to + 100} } } }`),
      );
    });

    it('never hands out a port outside of it, as get-port does', async () => {
      await occupyAllBut(undefined);
      const { default: getPort, clearLockedPorts } = await import('get-port');
      const elsewhere = await getPort({ port: portsOf(band) });
      clearLockedPorts();
      assert.ok(!inBand(band, elsewhere), 'get-port still does what this guards against');
      for (let round = 0; round < 3; round++) await assert.rejects(allocated(), /^UserError: No free port/);
    });

    it('counts ports of the plan that no band gives away as none', async () => {
      const [only] = portsOf(band);
      const request = { kind: 'band', band: { from: only!, to: only! }, except: [only!] } as const;
      await assert.rejects(allocate(request, { owner: OWNER }), /\(0 tried\)/);
    });

    it('does not ask for ports beyond the last one when widened', async () => {
      band = { from: toPort(65_530), to: toPort(65_535) };
      // Those that somebody has already are taken as well.
      for (const port of portsOf(band)) await cleanup.stranger(port).catch(() => undefined);
      await assert.rejects(allocated(), /"to": 65535 /);
    });
  });

  describe('of one port', () => {
    it('leases it', async () => {
      const [port] = portsOf(band);
      const lease = await allocate({ kind: 'fixed', port: port! }, { owner: OWNER });
      assert.equal(lease?.port, port);
      await lease?.release();
    });

    it('is had as soon as its listener has gone, where that is waited for', async () => {
      const [port] = portsOf(band);
      const stranger = await cleanup.stranger(port!);
      const waiting = allocateFixed(port!, OWNER, { goneWithinMs: 60_000 });
      await delay(100);
      stranger.close();
      const lease = await waiting;
      assert.equal(lease.port, port);
      await lease.release();
    });

    it('is not waited for longer than that, nor when that is cancelled', async () => {
      const [port] = portsOf(band);
      await cleanup.stranger(port!);
      await assert.rejects(allocateFixed(port!, OWNER, { goneWithinMs: 120 }), /is taken by pid/);
      const abort = new AbortController();
      const waiting = allocateFixed(port!, OWNER, { goneWithinMs: 60_000, signal: abort.signal });
      abort.abort();
      await assert.rejects(waiting, CancelledError);
    });

    it('names who has it', async () => {
      const [listened, leased] = portsOf(band);
      await cleanup.stranger(listened!);
      await assert.rejects(
        allocateFixed(listened!, OWNER),
        new RegExp(`^UserError: Port ${listened} for api is taken by pid ${process.pid} `),
      );
      const lease = await leasePort(leased!, { ...OWNER, service: 'proxy' });
      cleanup.add(() => lease!.release());
      await assert.rejects(allocateFixed(leased!, OWNER), /taken by HELIX service proxy of \/here/);
    });
  });

  it('gives nothing to a service without a port', async () => {
    assert.equal(await allocate({ kind: 'none' }, { owner: OWNER }), undefined);
  });

  it('stops when it is told to, and holds nothing', async () => {
    const controller = new AbortController();
    controller.abort();
    await assert.rejects(allocated({ signal: controller.signal }), CancelledError);
  });
});
