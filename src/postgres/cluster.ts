import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, cp, lstat, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CancelledError, UserError, codeOf, messageOf } from '../base/errors.ts';
import { type Engine, programIn } from './engines.ts';
import { type Identity, canReach, dropIdentity } from './identity.ts';
import { isAlive } from './processes.ts';

/** Where root keeps what the unprivileged server must reach. */
const ROOT_HOME = '/var/lib/helix-ports';

export interface ClusterOptions {
  /** Usable engines, the preferred first (`findEngines`). */
  readonly engines: readonly Engine[];
  /** Holds one folder per major version: `pg15`, `pg18`. */
  readonly dataRoot: string;
  /** The cluster's first role, a superuser, as in PostgreSQL's own container image. */
  readonly user: string;
  readonly password: string;
  readonly tell?: (line: string) => void;
  readonly signal?: AbortSignal;
  /** Instead of /var/lib/helix-ports, for tests. */
  readonly rootHome?: string;
  /** Instead of the user found for root, for tests. */
  readonly identity?: Identity;
}

export interface Cluster {
  readonly engine: Engine;
  readonly dataDir: string;
  /** The user that the server must run as; undefined is our own. */
  readonly identity: Identity | undefined;
  /** This call made it. */
  readonly created: boolean;
}

/**
 * Finds this data root's cluster, or makes one. A cluster that exists is never changed. A kill at any moment leaves
 * either no cluster or a whole one: initdb works in a folder beside, and one rename makes it the cluster.
 */
export async function prepareCluster(options: ClusterOptions): Promise<Cluster> {
  const { tell = () => undefined, signal } = options;
  const dropped = options.identity ?? (await dropIdentity());
  const dataRoot = await reachableDataRoot(options, dropped);
  if (dataRoot !== options.dataRoot && dropped) {
    tell(`Running as root: the data is kept in ${dataRoot}, where the user ${dropped.name} can reach it`);
  }
  const { engine: chosen, existing } = await chooseEngine(options.engines, dataRoot);
  if (existing.length > 0 && !existing.includes(chosen.major)) {
    tell(`The data of PostgreSQL ${existing.join(', ')} stays in ${dataRoot}; this one starts with a new cluster`);
  }
  const dataDir = join(dataRoot, `pg${chosen.major}`);
  if (existing.includes(chosen.major)) await assertVersion(dataDir, chosen);
  const identity = await ownerOf(dataDir, dropped);
  const engine = await reachableEngine(chosen, identity, options.rootHome ?? ROOT_HOME, tell);
  await sweepUnfinished(dataRoot);
  if (existing.includes(chosen.major)) return { engine, dataDir, identity, created: false };
  tell(`Creating a PostgreSQL ${engine.version} cluster in ${dataDir}`);
  try {
    return { engine, dataDir, identity, created: await createCluster(options, engine, dataRoot, dataDir, identity) };
  } catch (error) {
    if (signal?.aborted) throw new CancelledError();
    throw explainFileError(error, dataRoot);
  }
}

/** The engine that fits the data there is; without data the preferred one. */
export async function chooseEngine(
  engines: readonly Engine[],
  dataRoot: string,
): Promise<{ engine: Engine; existing: readonly number[] }> {
  const [preferred] = engines;
  if (!preferred) throw new UserError('No PostgreSQL was found on this machine. Install PostgreSQL 13 or newer.');
  const existing = await existingMajors(dataRoot);
  const fitting = engines.find(engine => existing.includes(engine.major));
  return { engine: fitting ?? preferred, existing };
}

async function existingMajors(dataRoot: string): Promise<number[]> {
  const names = await readdir(dataRoot).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw explainFileError(error, dataRoot);
  });
  const majors: number[] = [];
  for (const name of names) {
    const major = /^pg(\d+)$/.exec(name)?.[1];
    if (major !== undefined && (await isCluster(join(dataRoot, name)))) majors.push(Number(major));
  }
  return majors.sort((a, b) => b - a);
}

const isCluster = (dataDir: string): Promise<boolean> =>
  lstat(join(dataDir, 'PG_VERSION')).then(
    () => true,
    // A cluster of another user cannot be looked into, and is one all the same.
    (error: unknown) => codeOf(error) === 'EACCES',
  );

/** A folder that was moved or copied over another: PostgreSQL would refuse it, in words of its own and again and again. */
async function assertVersion(dataDir: string, engine: Engine): Promise<void> {
  const text = await readFile(join(dataDir, 'PG_VERSION'), 'utf8').catch(() => undefined);
  const major = Number(text?.trim());
  if (text === undefined || major === engine.major) return;
  throw new UserError(
    `The data in ${dataDir} was made by PostgreSQL ${text.trim().slice(0, 20)}, and this is ${engine.version}. ` +
      `Install PostgreSQL ${text.trim().slice(0, 20)}, or move that folder away to begin with a new database.`,
  );
}

async function reachableDataRoot(options: ClusterOptions, dropped: Identity | undefined): Promise<string> {
  const { dataRoot, rootHome = ROOT_HOME } = options;
  try {
    if (dropped && !(await passable(dropped, dataRoot))) {
      // Two data roots must not share data, so each has a place of its own.
      const hash = createHash('sha256').update(dataRoot).digest('hex').slice(0, 8);
      const own = join(rootHome, `${basename(dataRoot)}-${hash}`);
      await makeFolder(own, 0o755);
      return own;
    }
    await mkdir(dataRoot, { recursive: true });
    return dataRoot;
  } catch (error) {
    throw explainFileError(error, dataRoot);
  }
}

/** Reachable, after making what is missing with our own umask. */
async function passable(identity: Identity, folder: string): Promise<boolean> {
  const deepest = await deepestExisting(folder);
  if (!(await canReach(identity, deepest))) return false;
  await mkdir(folder, { recursive: true, mode: 0o755 });
  return canReach(identity, folder);
}

async function deepestExisting(path: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  return info || dirname(path) === path ? path : deepestExisting(dirname(path));
}

/** Made folder by folder with this very mode, whatever the umask. */
async function makeFolder(folder: string, mode: number): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let current = folder; ; current = dirname(current)) {
    await chmod(current, mode);
    if (current === first) return;
  }
}

/** Root runs an existing cluster as its owner: it may be the user's own, seen through sudo. */
async function ownerOf(dataDir: string, dropped: Identity | undefined): Promise<Identity | undefined> {
  const info = await stat(dataDir).catch(() => undefined);
  if (dropped) {
    if (!info || info.uid === 0 || info.uid === dropped.uid) return dropped;
    return { uid: info.uid, gid: info.gid, name: `uid ${info.uid}` };
  }
  const uid = process.getuid?.();
  if (info && uid !== undefined && info.uid !== uid) {
    throw new UserError(
      `The PostgreSQL data in ${dataDir} belongs to another user (uid ${info.uid}, you are ${uid}). Give it back with chown, or remove the folder to begin anew.`,
    );
  }
  return undefined;
}

/** npm's engine often lies in root's home, which the server's user must not enter: it gets a copy. */
async function reachableEngine(
  engine: Engine,
  identity: Identity | undefined,
  rootHome: string,
  tell: (line: string) => void,
): Promise<Engine> {
  if (!identity || (await canReach(identity, programIn(engine.binDir, 'initdb')))) return engine;
  if (engine.kind === 'system') {
    throw new UserError(
      `PostgreSQL in ${engine.binDir} cannot be run by the user ${identity.name} (PostgreSQL refuses root). Install it where every user can reach it.`,
    );
  }
  const copy = join(rootHome, 'engines', `embedded-${engine.version}`);
  const binDir = join(copy, 'bin');
  const present = await stat(copy).catch(() => undefined);
  if (!present) {
    tell(`Copying PostgreSQL ${engine.version} to ${copy}, where the user ${identity.name} can reach it`);
    await copyEngine(dirname(engine.binDir), copy);
  }
  return { ...engine, binDir };
}

async function copyEngine(source: string, target: string): Promise<void> {
  await makeFolder(dirname(target), 0o755);
  const staging = `${target}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await cp(source, staging, { recursive: true, verbatimSymlinks: true });
    for (const entry of await readdir(staging, { recursive: true, withFileTypes: true })) {
      if (entry.isSymbolicLink()) continue;
      const path = join(entry.parentPath, entry.name);
      await chmod(path, entry.isDirectory() || basename(entry.parentPath) === 'bin' ? 0o755 : 0o644);
    }
    await chmod(staging, 0o755);
    await renameUnlessThere(staging, target);
  } catch (error) {
    throw explainFileError(error, target);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** False when another process was faster. */
async function renameUnlessThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(codeOf(error) ?? '') && (await stat(to).catch(() => undefined))) {
      return false;
    }
    throw error;
  }
}

const UNFINISHED = /^pg\d+\.tmp-(\d+)-/;

/** What a killed run left behind: half a cluster, and the password file initdb was given. */
async function sweepUnfinished(dataRoot: string): Promise<void> {
  for (const name of await readdir(dataRoot)) {
    const pid = Number(UNFINISHED.exec(name)?.[1]);
    if (pid && !isAlive(pid)) await rm(join(dataRoot, name), { recursive: true, force: true });
  }
}

async function createCluster(
  options: ClusterOptions,
  engine: Engine,
  dataRoot: string,
  dataDir: string,
  identity: Identity | undefined,
): Promise<boolean> {
  const { user, password, signal } = options;
  const staging = join(dataRoot, `${basename(dataDir)}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`);
  const passwordFile = join(staging, 'password');
  const unfinished = join(staging, 'data');
  try {
    await mkdir(staging, { mode: 0o700 });
    await mkdir(unfinished, { mode: 0o700 });
    await writeFile(passwordFile, `${checkedPassword(password)}\n`, { mode: 0o600, flag: 'wx' });
    if (identity) for (const path of [staging, unfinished, passwordFile]) await chown(path, identity.uid, identity.gid);
    // UTF8 with locale C: the same order everywhere. Synced to disk, since the rename promises a whole cluster.
    const args = ['-D', unfinished, '-U', user, `--pwfile=${passwordFile}`, '-A', 'scram-sha-256'];
    args.push('-E', 'UTF8', '--locale=C');
    const { execa } = await import('execa');
    await execa(programIn(engine.binDir, 'initdb'), args, {
      ...spawnAs(identity),
      cwd: staging,
      extendEnv: false,
      stdin: 'ignore',
      ...(signal && { cancelSignal: signal }),
    });
    await rm(passwordFile);
    return await renameUnlessThere(unfinished, dataDir);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

function checkedPassword(password: string): string {
  if (!password) throw new UserError('POSTGRES_PASSWORD is empty. Set it in .env.');
  if (/[\u0000\r\n]/.test(password)) {
    throw new UserError('POSTGRES_PASSWORD holds a line break, which PostgreSQL cannot take. Change it in .env.');
  }
  return password;
}

/**
 * uid, gid and environment for PostgreSQL's programs. Nothing of ours gets into the server: no PG* variable
 * that would steer it, no secret. LC_ALL keeps its messages in English, by which the supervisor knows a taken port.
 */
export function spawnAs(identity: Identity | undefined): { uid?: number; gid?: number; env: Record<string, string> } {
  const env: Record<string, string> = { LC_ALL: 'C' };
  for (const name of ['PATH', 'Path', 'SystemRoot', 'TEMP', 'TMP', 'TMPDIR', 'TZ', 'USERPROFILE', 'LD_LIBRARY_PATH']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return identity ? { uid: identity.uid, gid: identity.gid, env } : { env };
}

/** Gives the role this password, or makes the role, without a server: through the data folder's owner. */
export async function setRolePassword(cluster: Cluster, user: string, password: string): Promise<void> {
  const tag = `$h${randomBytes(6).toString('hex')}$`;
  const role = `"${user.replaceAll('"', '""')}"`;
  const secret = literal(checkedPassword(password));
  const sql =
    `DO ${tag} BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(user)})` +
    ` THEN ALTER ROLE ${role} LOGIN PASSWORD ${secret};` +
    ` ELSE CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD ${secret}; END IF; END ${tag};\n`;
  const args = ['--single', '-D', cluster.dataDir, 'postgres'];
  const { execa } = await import('execa');
  const { all = '', failed } = await execa(programIn(cluster.engine.binDir, 'postgres'), args, {
    ...spawnAs(cluster.identity),
    cwd: cluster.dataDir,
    extendEnv: false,
    input: sql,
    all: true,
    reject: false,
  });
  // Only the ERROR lines are shown: the statement that follows them holds the password.
  const problems = all.split('\n').filter(line => /\b(ERROR|FATAL|PANIC):/.test(line));
  if (failed || problems.length > 0) {
    throw new UserError(
      `The role ${user} could not be set up in ${cluster.dataDir}: ${problems[0] ?? 'unknown reason'}`,
    );
  }
}

const literal = (text: string): string => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

/** A running server's own note in its data folder. */
export interface Postmaster {
  readonly pid: number;
  /** Seconds since the epoch, as the server wrote it: tells it from a later one. */
  readonly startedAt: string;
  readonly port: number;
  readonly ready: boolean;
}

/** https://www.postgresql.org/docs/current/storage-file-layout.html: pid, folder, start, port, …, status */
export async function readPostmaster(dataDir: string): Promise<Postmaster | undefined> {
  const file = join(dataDir, 'postmaster.pid');
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return '';
    throw explainFileError(error, file);
  });
  const lines = text.split('\n').map(line => line.trim());
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, startedAt: lines[2] ?? '', port: Number(lines[3]), ready: lines[7] === 'ready' };
}

/** Full disk and wrong permissions in words; anything else as it is. */
export function explainFileError(error: unknown, path: string): unknown {
  if (error instanceof UserError) return error;
  const text = `${messageOf(error)}\n${outputOf(error)}`;
  const code = codeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT' || /No space left on device|Disk quota exceeded/i.test(text)) {
    return new UserError(`The disk is full: PostgreSQL's data in ${path} needs about 50 MB. Free some space.`, {
      cause: error,
    });
  }
  if (['EACCES', 'EPERM', 'EROFS'].includes(code ?? '') || /Permission denied|Read-only file system/i.test(text)) {
    return new UserError(`No permission to write PostgreSQL's data in ${path}. Check who owns that folder.`, {
      cause: error,
    });
  }
  if (code === 'ENOTDIR' || code === 'EEXIST') {
    return new UserError(`PostgreSQL's data folder cannot be made at ${path}: a file is in the way.`, { cause: error });
  }
  const reported = /^.*(?:initdb: error|FATAL|ERROR):.*$/m.exec(outputOf(error))?.[0];
  return reported === undefined
    ? error
    : new UserError(`PostgreSQL could not be set up: ${reported}`, { cause: error });
}

const outputOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr) : '';
