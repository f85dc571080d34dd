import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { delay, throwIfAborted } from '../base/async.ts';
import { codeOf } from '../base/errors.ts';

/**
 * A name of which one process at a time is the holder, without a lock file that could go stale: the claim is a
 * listening socket, so the kernel ends it with its process, and being able to connect to it *is* being alive.
 */
export interface Claim {
  /** Whether others can still find it: not when somebody has removed the folder. */
  isReachable(): boolean;
  release(): Promise<void>;
}

/** The holder's greeting, by which it is told from a contender that has not decided yet. */
const GREETING = 'H';
/** How long a look at another contender waits for that greeting. */
const LOOK_MS = 100;
const MAX_ATTEMPTS = 20;

/**
 * Tries to become the holder of `name` in `dir`; undefined when another process already is.
 *
 * Everyone listens on a socket of their own (`name.random.sock`) *first* and then looks at all others. Of two
 * contenders the one that looks later finds the earlier one listening, and whoever finds another alive one
 * withdraws. Both may withdraw; then both try again after a random pause. Two can never stay. Only the holder
 * removes dead sockets, and a contender whose own socket vanished withdraws too.
 * On Windows a pipe's name is exclusive by itself.
 */
export async function claim(
  dir: string,
  name: string,
  onConnection: (socket: Socket) => void = () => undefined,
): Promise<Claim | undefined> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const outcome = await contend(dir, name, onConnection);
    if (outcome !== 'contended') return outcome;
    await delay(Math.random() * 20 * attempt);
  }
  return undefined;
}

async function contend(
  dir: string,
  name: string,
  onConnection: (socket: Socket) => void,
): Promise<Claim | 'contended' | undefined> {
  const path = socketPath(dir, name);
  const contender = new Contender(onConnection);
  try {
    await listen(contender.server, path);
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return undefined;
    throw error;
  }
  const others = socketsOf(dir, name).filter(other => other !== path);
  const looks = await Promise.all(others.map(look));
  if (looks.some(seen => seen !== 'dead') || !exists(path)) {
    await contender.close();
    return looks.includes('holder') ? undefined : 'contended';
  }
  for (const dead of others) rmSync(dead, { force: true });
  contender.hold();
  return { isReachable: () => exists(path), release: () => contender.close() };
}

/** A listening socket whose callers are kept waiting until it is decided whether it is the holder's. */
class Contender {
  readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private holding = false;

  constructor(private readonly onConnection: (socket: Socket) => void) {
    this.server = createServer(socket => {
      socket.on('error', () => undefined);
      socket.on('close', () => this.sockets.delete(socket));
      this.sockets.add(socket);
      if (this.holding) this.greet(socket);
    });
  }

  hold(): void {
    this.holding = true;
    for (const socket of this.sockets) this.greet(socket);
  }

  /** Ends the connections as well: it tells those who wait for the holder's end. */
  close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    return closed;
  }

  private greet(socket: Socket): void {
    socket.write(GREETING);
    this.onConnection(socket);
  }
}

/** Waits for its turn to hold `name`, however long the present holder works; told by the kernel, not by polling. */
export async function claimWhenFree(dir: string, name: string, signal?: AbortSignal): Promise<Claim> {
  for (;;) {
    throwIfAborted(signal);
    const held = await claim(dir, name);
    if (held) return held;
    await Promise.all(socketsOf(dir, name).map(path => untilGone(path, signal)));
  }
}

/** Runs `task` as the only holder of `name`. */
export async function withClaim<T>(
  dir: string,
  name: string,
  signal: AbortSignal | undefined,
  task: () => Promise<T>,
): Promise<T> {
  const held = await claimWhenFree(dir, name, signal);
  try {
    return await task();
  } finally {
    await held.release();
  }
}

/** A connection to the holder of `name`, past its greeting; undefined when there is none within `timeoutMs`. */
export async function connectHolder(dir: string, name: string, timeoutMs = 1000): Promise<Socket | undefined> {
  const greeted = await Promise.all(socketsOf(dir, name).map(path => connectGreeted(path, timeoutMs)));
  return greeted.find(socket => socket !== undefined);
}

/** Whether any process listens under `name`: a holder, even one that is stopped or too busy to greet. */
export async function isClaimed(dir: string, name: string): Promise<boolean> {
  const seen = await Promise.all(socketsOf(dir, name).map(tryConnect));
  for (const socket of seen) if (typeof socket === 'object') socket.destroy();
  return seen.some(socket => socket !== 'nobody');
}

function socketPath(dir: string, name: string): string {
  if (process.platform === 'win32') return pipePath(dir, name);
  return join(dir, `${name}.${randomBytes(4).toString('hex')}.sock`);
}

const pipePath = (dir: string, name: string): string =>
  `\\\\.\\pipe\\helix-ports-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}-${name}`;

function socketsOf(dir: string, name: string): string[] {
  if (process.platform === 'win32') return [pipePath(dir, name)];
  const pattern = /^(?<name>.*)\.[0-9a-f]{8}\.sock$/;
  return filesIn(dir)
    .filter(file => pattern.exec(file)?.groups?.['name'] === name)
    .map(file => join(dir, file));
}

/** None where there is no folder. */
export function filesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

const exists = (path: string): boolean => process.platform === 'win32' || existsSync(path);

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

/** Only these mean that nobody listens. With others (a full backlog, no descriptors left here) somebody may. */
const NOBODY = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTSOCK']);

function tryConnect(path: string): Promise<Socket | 'nobody' | 'unknown'> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', error => {
      socket.destroy();
      resolve(NOBODY.has(codeOf(error) ?? '') ? 'nobody' : 'unknown');
    });
  });
}

async function look(path: string): Promise<'dead' | 'holder' | 'contender'> {
  const socket = await tryConnect(path);
  if (typeof socket === 'string') return socket === 'nobody' ? 'dead' : 'contender';
  const greeted = await awaitGreeting(socket, LOOK_MS);
  socket.destroy();
  return greeted ? 'holder' : 'contender';
}

async function connectGreeted(path: string, timeoutMs: number): Promise<Socket | undefined> {
  const socket = await tryConnect(path);
  if (typeof socket === 'string') return undefined;
  if (await awaitGreeting(socket, timeoutMs)) return socket;
  socket.destroy();
  return undefined;
}

/** Reads the greeting and not a byte more, since the holder's protocol may follow at once. */
function awaitGreeting(socket: Socket, timeoutMs: number): Promise<boolean> {
  return new Promise(resolve => {
    const settle = (greeted: boolean): void => {
      clearTimeout(timer);
      socket.off('readable', onReadable);
      socket.off('close', onClose);
      resolve(greeted);
    };
    const onReadable = (): void => {
      const byte = socket.read(GREETING.length) as Buffer | null;
      if (byte) settle(byte.toString() === GREETING);
    };
    const onClose = (): void => settle(false);
    const timer = setTimeout(() => settle(false), timeoutMs);
    socket.on('readable', onReadable);
    socket.on('close', onClose);
    socket.on('error', () => undefined);
  });
}

async function untilGone(path: string, signal: AbortSignal | undefined): Promise<void> {
  const socket = await tryConnect(path);
  if (socket === 'nobody') return;
  if (socket === 'unknown') return delay(LOOK_MS, signal);
  const giveUp = (): void => void socket.destroy();
  if (signal?.aborted) giveUp();
  signal?.addEventListener('abort', giveUp, { once: true });
  await new Promise<void>(resolve => {
    socket.on('close', () => resolve());
    socket.on('error', () => undefined);
    socket.resume();
  });
  signal?.removeEventListener('abort', giveUp);
}
