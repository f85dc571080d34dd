import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { PortCell, PortUse } from '../../../src/model/port-map.ts';
import { type Port, toPort } from '../../../src/model/port.ts';
import { leasePort } from '../../../src/ports/lease.ts';
import { portMap } from '../../../src/session/port-map.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, close } from '../run/harness.ts';
import { World } from './harness.ts';

/** Real sockets and leases on a band of this test's own. */
describe('the map of ports', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let world: World;
  let first: Port;

  beforeEach(async () => {
    world = await World.make(cleanup);
    first = world.band.from;
  });
  afterEach(() => cleanup.run());

  const port = (index: number): Port => toPort(first + index);

  /** What is told of a port of our band; undefined while it is free. */
  async function cell(index: number): Promise<PortCell | undefined> {
    const bands = await portMap(world.plan());
    const ours = bands.find(band => band.from === first && band.to === world.band.to);
    assert.ok(ours, JSON.stringify(bands.map(({ from, to }) => [from, to])));
    return ours.used.find(one => one.port === port(index));
  }

  /** Who has it, once it is of that use: a lease that is asked on a busy machine may not answer in time. */
  const whose = (index: number, use: PortUse): Promise<string> =>
    waitFor(`${port(index)} to be ${use}`, async () => {
      const found = await cell(index);
      return found?.use === use && found.who;
    });

  async function listen(index: number): Promise<void> {
    const server = createServer().listen(port(index), '127.0.0.1');
    await once(server, 'listening');
    cleanup.add(() => close(server));
  }

  async function lease(index: number, workspace: string, service: string): Promise<() => Promise<void>> {
    const held = await leasePort(port(index), { pid: process.pid, user: 'alice', workspace, service });
    assert.ok(held);
    cleanup.add(() => held.release());
    return () => held.release();
  }

  it('knows what is ours by its lease, whether anybody listens yet or not, and what is free again', async () => {
    world.service('api');
    assert.equal(await cell(0), undefined);
    const release = await lease(0, world.workspace, 'api');
    const who = `API of this workspace (supervisor pid ${process.pid})`;
    assert.equal(await whose(0, 'ours'), `${who}; nobody listens yet`);
    await listen(0);
    assert.match(await whose(0, 'ours'), new RegExp(`^API of this workspace .*; pid ${process.pid} .*listens$`));
    // Who has taken a port without a lease is a stranger to all, whoever it is.
    await release();
    assert.match(await whose(0, 'foreign'), new RegExp(`^pid ${process.pid} `));
  });

  it('calls a service that is in the plan no more by its id', async () => {
    world.service('api');
    await lease(1, world.workspace, 'gone');
    assert.match(await whose(1, 'ours'), /^gone of this workspace /);
  });

  it('tells another workspace of HELIX from a stranger', async () => {
    world.service('api');
    await lease(2, '/home/bob/helix', 'worker');
    await listen(2);
    await listen(3);
    const helix = await whose(2, 'helix');
    const wanted = `HELIX service worker of /home/bob/helix (alice, pid ${process.pid}); pid ${process.pid} `;
    assert.ok(helix.startsWith(wanted), helix);
    assert.match(await whose(3, 'foreign'), new RegExp(`^pid ${process.pid} `));
  });

  it('takes a UDP service that is no lease for a stranger, which keeps the port from being leased', async () => {
    world.service('api');
    const socket = createSocket('udp4');
    socket.bind(port(4), '127.0.0.1');
    await once(socket, 'listening');
    cleanup.add(() => void socket.close());
    await whose(4, 'foreign');
  });

  it('knows what no band hands out, and who has it all the same', async () => {
    world.service('api', { changes: { port: { kind: 'band', band: world.band, except: [port(5)] } } });
    world.service('mail', { changes: { port: { kind: 'fixed', port: port(6) } } });
    assert.deepEqual(await cell(5), { port: port(5), use: 'reserved', who: 'a fixed port of this workspace' });
    assert.deepEqual(await cell(6), { port: port(6), use: 'reserved', who: 'fixed port of MAIL' });
    await listen(5);
    await whose(5, 'foreign');
    await lease(6, world.workspace, 'mail');
    assert.match(await whose(6, 'ours'), /^MAIL of this workspace /);
  });

  it('has the bands of HELIX, with the fixed ports among them, whatever the plan has', async () => {
    world.service('api');
    const bands = await portMap(world.plan());
    assert.deepEqual(
      bands.slice(0, 4).map(({ name, from, to }) => `${name} ${from}-${to}`),
      ['API 8000-8099', 'Orchestrator 8100-8199', 'Worker 8200-8299', 'Proxy 8300-8399'],
    );
    // Somebody else may have it on this machine.
    const proxy = bands[0]!.used.find(one => one.port === 8080)!;
    assert.ok(proxy.use !== 'reserved' || proxy.who === 'kept for the proxy', proxy.who);
  });
});
