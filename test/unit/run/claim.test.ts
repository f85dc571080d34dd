import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { CancelledError } from '../../../src/base/errors.ts';
import { type Claim, claim, claimWhenFree, connectHolder, isClaimed, withClaim } from '../../../src/run/claim.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup } from './harness.ts';

const NAME = 'api';

describe('claim', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let dir: string;

  beforeEach(async () => {
    dir = await cleanup.folder();
  });

  afterEach(() => cleanup.run());

  const sockets = async (): Promise<string[]> => (await readdir(dir)).filter(file => file.endsWith('.sock'));

  /** Released with the test, also when it fails. */
  async function take(name = NAME): Promise<Claim> {
    const held = await claim(dir, name);
    assert.ok(held, `${name} is free`);
    cleanup.add(() => held.release());
    return held;
  }

  async function contender(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [join(__dirname, 'contender.cjs'), dir, NAME], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    cleanup.add(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    child.stdout.setEncoding('utf8');
    await once(child, 'spawn');
    return child;
  }

  it('has one holder at any time of 32 processes that contend for it, each killed in turn', async () => {
    const children = await Promise.all(Array.from({ length: 32 }, contender));
    const violations: string[] = [];
    let holder: ChildProcess | undefined;
    for (const child of children) {
      child.stdout!.on('data', (text: string) => {
        if (!text.includes('held')) return;
        if (holder) violations.push(`pid ${child.pid} holds beside pid ${holder.pid}`);
        holder = child;
      });
    }
    for (let round = 1; round <= children.length; round++) {
      const present = await waitFor(`holder ${round}`, () => holder, { interval: 5 });
      const ended = once(present, 'exit');
      holder = undefined;
      present.kill('SIGKILL');
      await ended;
    }
    assert.deepEqual(violations, []);
    assert.equal(await isClaimed(dir, NAME), false);
  });

  it('has one holder at most of those who begin at the same moment', async () => {
    for (let round = 0; round < 5; round++) {
      const claims = await Promise.all([claim(dir, NAME), claim(dir, NAME), claim(dir, NAME)]);
      const held = claims.filter(one => one !== undefined);
      for (const one of held) await one.release();
      assert.ok(held.length <= 1, `${held.length} hold it in round ${round}`);
    }
  });

  it('is refused to a second one in the same process, and free after release', async () => {
    const first = await take();
    assert.ok(first.isReachable());
    assert.equal(await claim(dir, NAME), undefined);
    assert.equal(await isClaimed(dir, NAME), true);
    await first.release();
    assert.equal(await isClaimed(dir, NAME), false);
    assert.deepEqual(await sockets(), []);
    await take();
  });

  it('goes by the whole name', async () => {
    await take('api');
    await take('api-2');
    await take('i');
  });

  it('is not in the way of socket files whose process was killed, and removes them', async () => {
    const child = await contender();
    await once(child.stdout!, 'data');
    await waitFor('the claim', () => isClaimed(dir, NAME), { interval: 5 });
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await writeFile(join(dir, `${NAME}.00000000.sock`), 'not even a socket');
    assert.equal((await sockets()).length, 2);
    await take();
    assert.equal((await sockets()).length, 1);
  });

  it('is not taken from a holder that is stopped, however many have looked at it', async () => {
    const script = `
      const server = require('node:net').createServer();
      // A backlog this small is full at once, and then the kernel refuses with another code than for a dead socket.
      server.listen({ path: process.env.SOCKET, backlog: 1 }, () => console.log('listening'));
    `;
    const holder = await cleanup.program(script, { SOCKET: join(dir, `${NAME}.0a0a0a0a.sock`) });
    await holder.prints(/listening/);
    process.kill(holder.pid, 'SIGSTOP');
    for (let round = 0; round < 5; round++) assert.equal(await isClaimed(dir, NAME), true);
    const trial = new AbortController();
    const waiting = claimWhenFree(dir, NAME, trial.signal);
    // The one thing that it must not do is to succeed; it waits until it is told otherwise.
    const early = await Promise.race([waiting.then(() => 'held'), lookedOften(dir)]);
    assert.equal(early, 'looked');
    trial.abort();
    await assert.rejects(waiting, CancelledError);
  });

  /** Others come and go beside it a number of times. */
  async function lookedOften(folder: string): Promise<string> {
    for (let round = 0; round < 5; round++) await isClaimed(folder, NAME);
    return 'looked';
  }

  it('waits for the end of the holder', async () => {
    const child = await contender();
    await waitFor('the claim', () => isClaimed(dir, NAME), { interval: 5 });
    const waiting = claimWhenFree(dir, NAME);
    child.kill('SIGKILL');
    const held = await waiting;
    cleanup.add(() => held.release());
    assert.ok(held.isReachable());
  });

  it('stops waiting when it is told to', async () => {
    await take();
    const controller = new AbortController();
    const waiting = claimWhenFree(dir, NAME, controller.signal);
    controller.abort();
    await assert.rejects(waiting, CancelledError);
  });

  it('runs tasks one after another, also when one fails', async () => {
    let inside = 0;
    let most = 0;
    const task = async (fails: boolean): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise(resolve => setImmediate(resolve));
      inside--;
      if (fails) throw new Error('as planned');
    };
    const runs = Array.from({ length: 6 }, (_, index) => withClaim(dir, NAME, undefined, () => task(index % 2 === 0)));
    const settled = await Promise.allSettled(runs);
    assert.equal(settled.filter(one => one.status === 'rejected').length, 3);
    assert.equal(most, 1);
  });

  it('connects callers to the holder, past its greeting', async () => {
    const held = await claim(dir, NAME, socket => {
      socket.write('hello');
      socket.on('data', data => socket.write(`you said ${data.toString()}`));
    });
    const socket = await connectHolder(dir, NAME);
    assert.ok(socket);
    socket.setEncoding('utf8');
    let text = '';
    socket.on('data', (chunk: string) => (text += chunk));
    socket.write('hi');
    await waitFor('the answer', () => text === 'helloyou said hi', { interval: 5, seen: () => text });
    const closed = once(socket, 'close');
    await held!.release();
    await closed;
  });

  it('gives no connection to one that listens but never greets, nor where there is no folder', async () => {
    const server = createServer();
    server.listen(join(dir, `${NAME}.12345678.sock`));
    await once(server, 'listening');
    cleanup.add(() => server.close());
    assert.equal(await connectHolder(dir, NAME, 50), undefined);
    assert.equal(await connectHolder(join(dir, 'missing'), NAME), undefined);
    assert.equal(await isClaimed(join(dir, 'missing'), NAME), false);
  });

  it('tells when its socket was removed', async () => {
    const held = await take();
    for (const socket of await sockets()) await rm(join(dir, socket));
    assert.equal(held.isReachable(), false);
  });
});
