import { strict as assert } from 'node:assert';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { describeHolder, holdersOf, listenersOf } from '../../../src/ports/holders.ts';
import { parseLsof, parsePsCommands } from '../../../src/ports/tool-output.ts';

const run = promisify(execFile);

describe('holders', () => {
  const cleanups: (() => unknown)[] = [];

  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function listen(host: string): Promise<number> {
    const server: Server = createServer();
    server.listen(0, host);
    await once(server, 'listening');
    cleanups.push(() => new Promise(resolve => server.close(resolve)));
    return (server.address() as { port: number }).port;
  }

  async function listeningChild(host: string): Promise<{ child: ChildProcess; port: number }> {
    const script = `const server = require('node:net').createServer();
      server.listen(0, ${JSON.stringify(host)}, () => console.log(server.address().port))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    cleanups.push(() => child.kill('SIGKILL'));
    const [data] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, port: Number(data.toString()) };
  }

  it('names the process, its command, its user and since when', async () => {
    const before = Date.now();
    const { child, port } = await listeningChild('127.0.0.1');
    const holder = (await holdersOf([port])).get(port);
    assert.equal(holder?.pid, child.pid);
    assert.equal(holder?.port, port);
    assert.match(holder?.command ?? '', /-e const server/);
    assert.equal(holder?.user, userInfo().username);
    // The system counts in ticks since a boot whose own time it knows to the second.
    assert(Math.abs(holder.startedAtMs! - before) < 30_000, 'since when');
  });

  it('finds listeners of both families among many ports, and leaves out the free ones', async () => {
    const four = await listen('127.0.0.1');
    const free = await getPort();
    const wanted = [four, free];
    const six = await listen('::1').catch(() => undefined);
    if (six !== undefined) wanted.push(six);
    const found = await holdersOf(wanted);
    assert.deepEqual(new Set(found.keys()), new Set(six === undefined ? [four] : [four, six]));
    for (const holder of found.values()) assert.equal(holder.pid, process.pid);
    assert.equal((await holdersOf([])).size, 0);
  });

  it('tells TCP from UDP', async () => {
    const socket = createSocket('udp4');
    socket.bind(await getPort(), '127.0.0.1');
    await once(socket, 'listening');
    cleanups.push(() => new Promise<void>(resolve => socket.close(() => resolve())));
    const { port } = socket.address();
    assert.equal((await holdersOf([port], 'udp')).get(port)?.pid, process.pid);
    assert.equal((await holdersOf([port], 'tcp')).has(port), false);
  });

  it('lists what given processes listen on, with the address', async () => {
    const own = await listen('127.0.0.1');
    const { child, port } = await listeningChild('0.0.0.0');
    assert.deepEqual(await listenersOf(new Set([child.pid!])), [{ pid: child.pid, port, address: '0.0.0.0' }]);
    const both = await listenersOf(new Set([child.pid!, process.pid]));
    assert(both.some(one => one.pid === process.pid && one.port === own && one.address === '127.0.0.1'));
    assert(both.some(one => one.pid === child.pid && one.port === port));
    assert.deepEqual(await listenersOf(new Set()), []);
  });

  it('reads IPv6 addresses', async function () {
    const port = await listen('::1').catch(() => this.skip());
    const found = (await listenersOf(new Set([process.pid]))).find(one => one.port === port);
    assert.equal(found?.address, '::1');
  });

  it('describes as much as is known, on one line', () => {
    const whole = { port: 8023, pid: 4711, command: '/usr/bin/node server.js', user: 'alice' };
    assert.equal(describeHolder(whole), 'pid 4711 (node server.js) of alice');
    assert.equal(describeHolder({ port: 8023, user: 'bob' }), 'a process of bob');
    assert.equal(describeHolder({ port: 8023 }), 'a process');
    const long = describeHolder({ port: 8023, pid: 1, command: `python ${'x'.repeat(500)}` });
    assert.match(long, /^pid 1 \(python x+…\)$/);
    assert.equal(long.length, 'pid 1 ()'.length + 80);
  });

  it('is told the same by lsof and ps', async function () {
    const port = await listen('127.0.0.1');
    const selection = ['-a', '-p', String(process.pid), '-iTCP', '-sTCP:LISTEN'];
    const answer = await run('lsof', ['-nP', ...selection, '-FpcLn']).catch(() => this.skip());
    const found = parseLsof(answer.stdout).find(row => row.port === port);
    assert.deepEqual([found?.pid, found?.address, found?.user], [process.pid, '127.0.0.1', userInfo().username]);

    const columns = ['pid=', 'lstart=', 'command='].flatMap(column => ['-o', column]);
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    const { stdout } = await run('ps', ['-ww', ...columns, '-p', `${process.pid},${process.ppid}`], { env });
    const own = parsePsCommands(stdout).get(process.pid);
    assert.match(own?.command ?? '', /node|mocha/);
    assert(Math.abs(own!.startedAtMs - (Date.now() - process.uptime() * 1000)) < 30_000, 'since when');
  });
});
