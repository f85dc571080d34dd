import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type Port, toPort } from '../../../src/model/port.ts';
import { identify, isSame } from '../../../src/run/processes.ts';
import { type PortUse, stopHolder, useJson, useText, whoHas } from '../../../src/session/who.ts';
import { finished, type Finished, repository } from '../../chaos/lab.ts';
import { hasTerminals, ProgramInTerminal } from '../../support/terminal.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, freeBand } from '../run/harness.ts';
import { snapshotOf, untilState, World } from './harness.ts';

describe('who has my port', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  async function listeningChild(): Promise<{ child: ChildProcess; port: Port }> {
    const script = `const server = require('node:net').createServer();
      server.listen(0, '127.0.0.1', () => console.log(server.address().port))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    cleanup.add(() => child.kill('SIGKILL'));
    const [data] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, port: toPort(Number(data.toString())) };
  }

  it('is nobody for a free port', async () => {
    const { from: port } = await freeBand(1);
    const use = await whoHas(port);
    assert.deepEqual(use, { port, state: 'free', isOwn: false });
    assert.equal(useText(use, 0), `Port ${port} is free.`);
    await assert.rejects(stopHolder(use), /not yours to free/);
  });

  it('names pid, command line, user and since when, and ends it when asked', async () => {
    const { child, port } = await listeningChild();
    const use = await whoHas(port);
    assert.equal(use.state, 'listening');
    assert.equal(use.isOwn, true);
    assert.equal(use.holder?.pid, child.pid);
    const text = useText(use, Date.now());
    assert.match(text, new RegExp(`^Port ${port} is in use by a process that is not HELIX’s\\.`));
    assert.match(
      text,
      new RegExp(`pid +${child.pid}\n  command .*-e const server.*\n  user +${userInfo().username}\n`),
    );
    assert.match(text, /since +\d{4}-\d\d-\d\dT.*\n.*yours +yes/s);
    const json = useJson(use) as Record<string, unknown>;
    assert.deepEqual([json['pid'], json['user'], json['helix']], [child.pid, userInfo().username, null]);
    await stopHolder(use);
    assert.equal((await whoHas(port)).state, 'free');
    assert.equal(child.signalCode ?? child.exitCode, 'SIGINT');
  });

  it('never ends another process that has the number by now', async () => {
    const { child, port } = await listeningChild();
    const use = await whoHas(port);
    const later: PortUse = { ...use, identity: { ...use.identity!, startedAt: 'another time' } };
    await assert.rejects(stopHolder(later), /has ended by itself/);
    assert.ok(await identify(child.pid!), 'it still runs');
  });

  it('is not stopped by whoever it does not belong to', async () => {
    const { child, port } = await listeningChild();
    const use = await whoHas(port);
    const theirs: PortUse = { ...use, isOwn: false, holder: { ...use.holder!, user: 'somebody' } };
    await assert.rejects(stopHolder(theirs), /not yours to free: it belongs to somebody/);
    assert.ok(await identify(child.pid!), 'it still runs');
    // This very process listens: stopping it would end whoever asks.
    const server = createServer().listen(0, '127.0.0.1');
    cleanup.add(() => server.close());
    await once(server, 'listening');
    const own = await whoHas(toPort((server.address() as { port: number }).port));
    assert.deepEqual([own.holder?.pid, own.isOwn], [process.pid, false]);
  });

  it('knows a service of ours, of which workspace, and stops it for good', async () => {
    const world = await World.make(cleanup);
    const id = world.service('api');
    const stack = world.stack({ keep: true });
    assert.equal((await stack.start()).kind, 'started');
    const { port, pid, supervisorPid } = snapshotOf(stack, id);
    const use = await whoHas(toPort(port));
    assert.deepEqual(use.helix, {
      pid: supervisorPid,
      user: userInfo().username,
      workspace: world.workspace,
      service: 'api',
    });
    assert.equal(use.holder?.pid, pid);
    assert.match(useText(use, Date.now()), new RegExp(`a HELIX service\\.\n +service +api of ${world.workspace}\n`));
    const child = await identify(pid!);
    await stopHolder(use);
    await untilState(stack, id, 'stopped');
    assert.equal(await isSame(child!), false, 'the service has ended');
    assert.equal((await world.record(id))['wanted'], 'stopped');
    // Somebody else's probe is a listener for an instant.
    await waitFor('the port to be free', async () => (await whoHas(toPort(port))).state === 'free');
  });

  it('does not believe a process that says it is somebody else', async function () {
    if (process.platform !== 'linux') return this.skip();
    const { child, port } = await listeningChild();
    const socket = createSocket('udp4');
    cleanup.add(() => socket.close());
    const claim = { pid: child.pid, user: userInfo().username, workspace: '/w', service: 'api' };
    socket.on('message', (_message, from) => socket.send(JSON.stringify(claim), from.port, from.address));
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    assert.equal((await whoHas(port)).helix, undefined);
  });

  describe('from the command line', () => {
    const cli = (...args: readonly string[]): Promise<Finished> =>
      finished(
        spawn(process.execPath, [join(repository, 'dist/cli.cjs'), 'who', ...args], {
          stdio: ['ignore', 'pipe', 'pipe'],
        }),
      );

    it('answers as text and as JSON', async () => {
      const { child, port } = await listeningChild();
      const text = await cli(String(port));
      assert.deepEqual([text.code, text.stderr], [0, '']);
      assert.match(text.stdout, new RegExp(`pid +${child.pid}\n`));
      const json = await cli(String(port), '--json');
      assert.equal((JSON.parse(json.stdout) as { pid: number }).pid, child.pid);
    });

    it('stops only when it is told to, and in a pipe only with --yes', async () => {
      const { child, port } = await listeningChild();
      const refused = await cli(String(port), '--stop');
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /Add --yes/);
      assert.ok(await identify(child.pid!), 'it still runs');
      const stopped = await cli(String(port), '--stop', '--yes');
      assert.deepEqual([stopped.code, stopped.stderr], [0, `Stopped. Port ${port} is free.\n`]);
      assert.equal(await identify(child.pid!), undefined);
    });

    it('asks on a terminal, and stops only who is said yes to', async function () {
      if (!hasTerminals()) return this.skip();
      const { child, port } = await listeningChild();
      for (const [answer, runs] of [
        ['n', true],
        ['', true],
        ['y', false],
      ] as const) {
        const program = new ProgramInTerminal(
          `"${process.execPath}" "${join(repository, 'dist/cli.cjs')}" who ${port}`,
          {
            cwd: repository,
            env: {},
            columns: 100,
            rows: 20,
          },
        );
        cleanup.add(() => program.dispose());
        await waitFor('the question', () => program.output.includes('Stop it? [y/N] '), { seen: () => program.output });
        program.type(`${answer}\n`);
        assert.equal(await program.ended(), 0);
        assert.equal((await identify(child.pid!)) !== undefined, runs, program.output);
      }
    });

    it('refuses what is no port', async () => {
      for (const args of [[], ['x'], ['0'], ['65536'], ['1e3'], ['80', '81']]) {
        assert.equal((await cli(...args)).code, 2, args.join(' '));
      }
    });
  });
});
