import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { messageOf } from '../../src/base/errors.ts';
import { ensureFolder } from './npm.ts';
import { cacheDir } from './paths.ts';

/** What `test/fixtures/helix-v2` imports, and Debian's packages of it. */
const MODULES = ['fastapi', 'uvicorn', 'asyncpg', 'dotenv'] as const;
const DEBIAN_PACKAGES = ['python3-fastapi', 'python3-uvicorn', 'python3-asyncpg', 'python3-dotenv'] as const;
const DEBIAN_PYTHON = '/usr/bin/python3';
const LIMIT_MS = 180_000;

export type PythonStack =
  | {
      readonly kind: 'there';
      /** Makes `.venv` in a folder, with FastAPI, uvicorn and asyncpg in it. */
      readonly makeVenv: (folder: string) => Promise<string>;
      /** An interpreter of the same kind, with none of these packages. */
      readonly bare: string;
    }
  | { readonly kind: 'missing'; readonly reason: string };

let found: Promise<PythonStack> | undefined;

/** FastAPI, uvicorn and asyncpg for the tests: as installed, or from Debian into the cache; the machine is left alone. */
export const ensurePythonStack = (): Promise<PythonStack> => (found ??= find());

async function find(): Promise<PythonStack> {
  const bare = existsSync(DEBIAN_PYTHON) ? DEBIAN_PYTHON : 'python3';
  const version = await run(bare, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']).catch(() => undefined);
  if (version === undefined) return { kind: 'missing', reason: 'there is no python3' };
  if (await imports(bare)) return { kind: 'there', bare, makeVenv: folder => venvOf(bare, folder, undefined) };
  if (bare !== DEBIAN_PYTHON) return { kind: 'missing', reason: `${MODULES.join(', ')} are not installed` };
  const folder = join(cacheDir(), `python-${version.trim()}-${process.arch}`);
  try {
    await ensureFolder(folder, fromDebian);
  } catch (error) {
    return { kind: 'missing', reason: `${DEBIAN_PACKAGES.join(', ')} cannot be had: ${messageOf(error)}` };
  }
  const packages = join(folder, 'usr/lib/python3/dist-packages');
  return { kind: 'there', bare, makeVenv: workspace => venvOf(bare, workspace, packages) };
}

async function imports(python: string, env: NodeJS.ProcessEnv = {}): Promise<boolean> {
  const code = `import ${MODULES.join(', ')}`;
  const result = await execa(python, ['-c', code], { env, reject: false, stdin: 'ignore', timeout: LIMIT_MS });
  return result.exitCode === 0;
}

/** Unpacks the packages and what they need, rather than installing them: that needs no root, and changes nothing. */
async function fromDebian(folder: string): Promise<void> {
  console.log("FastAPI, uvicorn and asyncpg: downloading Debian's packages (about 2 MB, once) ...");
  const apt = join(folder, '.apt');
  await mkdir(join(apt, 'state/lists/partial'), { recursive: true });
  await mkdir(join(apt, 'cache/archives/partial'), { recursive: true });
  await mkdir(join(apt, 'debs'));
  const options = [
    `Dir::State=${apt}/state`,
    'Dir::State::status=/var/lib/dpkg/status',
    `Dir::Cache=${apt}/cache`,
    'APT::Sandbox::User=root',
    'Acquire::Retries=2',
  ].flatMap(option => ['-o', option]);
  await run('apt-get', [...options, '-q', 'update']);
  const kinds = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(kind => `--no-${kind}`);
  const needed = await run('apt-cache', [...options, 'depends', '--recurse', ...kinds, ...DEBIAN_PACKAGES]);
  // Python itself is there, and with it all that is not a Python package.
  const names = [...new Set(needed.split('\n').filter(line => /^python3-/.test(line) && line !== 'python3-minimal'))];
  await run('apt-get', [...options, '-q', 'download', ...names], join(apt, 'debs'));
  for (const deb of await readdir(join(apt, 'debs'))) await run('dpkg-deb', ['-x', join(apt, 'debs', deb), folder]);
  await rm(apt, { recursive: true });
  if (await imports(DEBIAN_PYTHON, { PYTHONPATH: join(folder, 'usr/lib/python3/dist-packages') })) return;
  throw new Error(`they do not go with ${DEBIAN_PYTHON}`);
}

async function venvOf(python: string, folder: string, packages: string | undefined): Promise<string> {
  const venv = join(folder, '.venv');
  await run(python, ['-m', 'venv', '--without-pip', ...(packages ? [] : ['--system-site-packages']), venv]);
  const own = join(venv, 'bin/python');
  if (packages) {
    const site = await run(own, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']);
    await writeFile(join(site.trim(), 'helix-tests.pth'), `${packages}\n`);
  }
  return own;
}

async function run(program: string, args: readonly string[], cwd?: string): Promise<string> {
  const result = await execa(program, args, { ...(cwd ? { cwd } : {}), stdin: 'ignore', timeout: LIMIT_MS });
  return result.stdout;
}
