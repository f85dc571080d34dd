import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { delay } from '../base/async.ts';
import { CancelledError, UserError, messageOf } from '../base/errors.ts';
import { type Cluster, type Postmaster, readPostmaster, setRolePassword, spawnAs } from './cluster.ts';
import { type PostgresConfig, loopbackOf } from './config.ts';
import { fullDisk } from './disk.ts';
import { programIn } from './engines.ts';
import { createDatabase, initialiseDatabase } from './initialise.ts';
import { type Credentials, loadPg, probePostgres, tryCredentials } from './probe.ts';
import { isAlive, programOf, startTimeOf } from './processes.ts';

export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The port is somebody else's. The message holds `EADDRINUSE`, by which the supervisor knows it. */
export class AddressInUseError extends UserError {}

const POLL_MS = 10;

/**
 * A PostgreSQL server as our child: in our process group (so that a kill of the group ends it) and on our terminal.
 * Its own children call setsid and escape such a kill, but end by themselves as soon as they miss their parent.
 */
export class Server {
  readonly exited: Promise<ServerExit>;
  private readonly watch: ChildProcess | undefined;

  private constructor(
    readonly cluster: Cluster,
    readonly endpoint: { readonly host: string; readonly port: number },
    private readonly child: ChildProcess,
  ) {
    child.on('error', () => undefined);
    this.exited = new Promise(resolve =>
      child.once('exit', (code, signal) => {
        // The watch first: once the exit is known, the pid may be another's.
        this.watch?.kill('SIGKILL');
        resolve({ code, signal });
      }),
    );
    this.watch = watchOver(child, cluster);
  }

  static async start(cluster: Cluster, endpoint: { host: string; port: number }): Promise<Server> {
    const args = ['-D', cluster.dataDir, '-p', String(endpoint.port)];
    args.push('-c', `listen_addresses=${endpoint.host}`, '-c', 'unix_socket_directories=');
    const child = spawn(programIn(cluster.engine.binDir, 'postgres'), args, {
      ...spawnAs(cluster.identity),
      cwd: cluster.dataDir,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    await once(child, 'spawn').catch((error: unknown) => {
      throw new UserError(`PostgreSQL could not be run from ${cluster.engine.binDir}: ${messageOf(error)}`, {
        cause: error,
      });
    });
    return new Server(cluster, endpoint, child);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  private get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Resolves once it takes connections; `undefined` if it ended instead. Recovery after a crash takes its time. */
  async ready(signal?: AbortSignal): Promise<Postmaster | undefined> {
    while (!this.hasExited) {
      const postmaster = await readPostmaster(this.cluster.dataDir);
      if (postmaster?.pid === this.pid && postmaster.ready) return postmaster;
      await delay(POLL_MS, signal);
    }
    return undefined;
  }

  /** Fast shutdown: open transactions are rolled back, clients are sent away. (SIGTERM would wait for them for ever.) */
  stop(): void {
    if (this.hasExited) return;
    if (process.platform !== 'win32') {
      this.child.kill('SIGINT');
      return;
    }
    // Windows has no SIGINT for another process: kill() would be an instant end.
    const args = ['stop', '-D', this.cluster.dataDir, '-m', 'fast', '-W'];
    import('execa')
      .then(({ execa }) => execa(programIn(this.cluster.engine.binDir, 'pg_ctl'), args, { reject: false }))
      .catch(() => this.child.kill());
  }
}

/**
 * Ends the server when this process is killed with no chance to do it itself: the shell waits for the end of a
 * pipe that only we hold. It is PostgreSQL's user who signals, and it ignores the terminal's Ctrl-C.
 */
function watchOver(child: ChildProcess, cluster: Cluster): ChildProcess | undefined {
  if (process.platform === 'win32' || child.pid === undefined) return undefined;
  const script = 'trap "" INT TERM HUP; read -r line; kill -INT "$1"';
  const watch = spawn('/bin/sh', ['-c', script, 'helix-postgres-watch', String(child.pid)], {
    ...spawnAs(cluster.identity),
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watch.on('error', () => undefined);
  watch.unref();
  return watch;
}

interface ProcessMark {
  readonly pid: number;
  readonly startTime: string | undefined;
}
interface ServerRecord {
  readonly server: ProcessMark;
  readonly runner: ProcessMark;
}

const recordFile = (cluster: Cluster): string => `${cluster.dataDir}.server.json`;
const markOf = async (pid: number): Promise<ProcessMark> => ({ pid, startTime: await startTimeOf(pid) });
const stillRuns = async (mark: ProcessMark): Promise<boolean> =>
  mark.startTime !== undefined && mark.startTime === (await startTimeOf(mark.pid));

/**
 * So that a later run can tell a server of ours that lost its runner from anybody else's. Of no use after a crash of the
 * machine, so the disk is not waited for.
 */
async function recordServer(server: Server): Promise<void> {
  const record: ServerRecord = { server: await markOf(server.pid), runner: await markOf(process.pid) };
  await writeFileAtomic(recordFile(server.cluster), `${JSON.stringify(record)}\n`, { mode: 0o600, fsync: false });
}

async function readRecord(cluster: Cluster): Promise<ServerRecord | undefined> {
  try {
    return JSON.parse(await readFile(recordFile(cluster), 'utf8')) as ServerRecord;
  } catch {
    return undefined;
  }
}

/**
 * Clears the way for a start: a lock file that means nothing any more, or a server that a killed run left behind.
 * Says whether there was one.
 */
export async function settleLeftover(
  cluster: Cluster,
  tell: (line: string) => void,
  signal?: AbortSignal,
): Promise<boolean> {
  const postmaster = await readPostmaster(cluster.dataDir);
  if (!postmaster) return false;
  // PostgreSQL itself removes the lock file of a dead process.
  if (!isAlive(postmaster.pid)) return true;
  const program = await programOf(postmaster.pid);
  const dead = process.platform === 'linux' && (await startTimeOf(postmaster.pid)) === undefined;
  if (dead || (program !== undefined && !/^post(gres|master)/.test(program))) {
    // After a restart of the machine the pid is easily another's, and PostgreSQL would refuse to start.
    if (!dead) tell(`Stale postmaster.pid: process ${postmaster.pid} is ${program}`);
    await disownLock(join(cluster.dataDir, 'postmaster.pid'));
    return true;
  }
  const record = await readRecord(cluster);
  const ours = record?.server.pid === postmaster.pid && (await stillRuns(record.server));
  if (!ours || (await stillRuns(record.runner))) {
    throw new AddressInUseError(
      `EADDRINUSE: the data in ${cluster.dataDir} is in use by the PostgreSQL server with pid ${postmaster.pid} on port ${postmaster.port}. Set POSTGRES_PORT=${postmaster.port} in .env to use it, or stop it.`,
    );
  }
  tell(`Ending the PostgreSQL server that a killed run left behind (pid ${postmaster.pid})`);
  process.kill(postmaster.pid, 'SIGINT');
  while (await stillRuns(record.server)) await delay(POLL_MS, signal);
  return true;
}

/** No process has it, on any system. */
const NO_PID = 0x7fff_fffe;

/**
 * The file is not removed: it also names the shared memory, by which PostgreSQL sees children of the former server
 * that still run, and waits rather than spoil the data.
 */
async function disownLock(file: string): Promise<void> {
  const [, ...rest] = (await readFile(file, 'utf8')).split('\n');
  await writeFile(file, [NO_PID, ...rest].join('\n'));
}

/** Printed once the role and the database are there; the supervisor's readiness waits for it. */
export const READY_PATTERN = '^PostgreSQL is ready';

export interface RunServerOptions {
  readonly config: PostgresConfig;
  readonly cluster: Cluster;
  readonly tell: (line: string) => void;
  /** Aborted = asked to stop. */
  readonly signal: AbortSignal;
}

/** Runs the server until it ends, by itself or because it was asked to. */
export async function runServer({ config, cluster, tell, signal }: RunServerOptions): Promise<ServerExit> {
  const leftover = await settleLeftover(cluster, tell, signal);
  const endpoint = { host: loopbackOf(config.host) ?? '127.0.0.1', port: config.port };
  const credentials = { ...config, ...endpoint };
  await assertFree(credentials, signal);
  let corrected = false;
  for (let attempt = 1; ; attempt += 1) {
    if (signal.aborted) throw new CancelledError();
    const server = await Server.start(cluster, endpoint);
    const onAbort = (): void => server.stop();
    signal.addEventListener('abort', onAbort, { once: true });
    // Asked while the process was being made: the event is over already.
    if (isAborted(signal)) server.stop();
    // While the server comes up.
    void loadPg();
    try {
      const access = await openAccess(server, credentials, { tell, signal, initSql: config.initSql });
      if (access === 'ended' && leftover && attempt < 6 && !signal.aborted) {
        // The children of a server that was killed take a moment to see it, and keep the next one from starting.
        await server.exited;
        await delay(250, signal);
        continue;
      }
      if (access !== 'wrong-password' || corrected) return await explainedExit(server, signal);
      tell(
        `This data knows the role ${config.user} with another password, or not at all: setting it to POSTGRES_PASSWORD`,
      );
    } catch (error) {
      server.stop();
      await server.exited;
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    server.stop();
    await server.exited;
    await setRolePassword(cluster, config.user, config.password);
    corrected = true;
  }
}

async function explainedExit(server: Server, signal: AbortSignal): Promise<ServerExit> {
  const exit = await server.exited;
  const full = signal.aborted || exit.code === 0 ? undefined : await fullDisk(server.cluster.dataDir);
  if (full) throw full;
  return exit;
}

async function assertFree(credentials: Credentials, signal: AbortSignal): Promise<void> {
  const { host, port } = credentials;
  const found = await probePostgres({ host, port, signal });
  if (found === 'closed') return;
  const what = found === 'postgres' ? 'another PostgreSQL server' : 'a program that is not PostgreSQL';
  throw new AddressInUseError(
    `EADDRINUSE: ${host}:${port} is taken by ${what}. Set POSTGRES_PORT in .env to a free port, or stop it.`,
  );
}

/** Read anew at each call: the compiler believes that a signal seen unaborted stays so. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;

/** How often a connection to a server that runs may break, and how long it is left alone after that. */
const BROKEN_MAX = 50;
const BROKEN_PAUSE_MS = 100;

const refusedBy = ({ host, port }: Credentials, { message }: { readonly message: string }): UserError =>
  new UserError(`PostgreSQL runs on ${host}:${port} but refuses the connection: ${message}`);

type Access = 'ok' | 'wrong-password' | 'ended';

async function openAccess(
  server: Server,
  credentials: Credentials,
  { tell, signal, initSql }: { tell: (line: string) => void; signal: AbortSignal; initSql: string | undefined },
): Promise<Access> {
  // Asked to stop meanwhile: the server ends, and its exit is the answer.
  const postmaster = await server.ready(signal).catch(() => undefined);
  if (!postmaster) return 'ended';
  await recordServer(server);
  const { host, port, database } = credentials;
  for (let broken = 0; ;) {
    const result = await tryCredentials(credentials);
    if (signal.aborted) return 'ended';
    switch (result.kind) {
      case 'ok':
        if (initSql !== undefined && (await initialiseDatabase(credentials, initSql))) {
          tell(`Filled the new database ${database} from ${initSql}`);
        }
        tell(`PostgreSQL is ready: ${result.version} on ${host}:${port}, database ${database}`);
        return 'ok';
      case 'no-database':
        await createDatabase(credentials);
        tell(`Created the database ${database}`);
        break;
      case 'wrong-password':
      case 'no-role':
        return 'wrong-password';
      case 'starting':
        await delay(POLL_MS);
        break;
      case 'gone':
        // Its exit, if it ends, is the answer.
        if (await Promise.race([server.exited, delay(BROKEN_PAUSE_MS)])) return 'ended';
        if ((broken += 1) <= BROKEN_MAX) break;
        throw refusedBy(credentials, result);
      case 'error':
        if (signal.aborted) return 'ended';
        throw refusedBy(credentials, result);
    }
  }
}
