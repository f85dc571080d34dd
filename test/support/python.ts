import { writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { messageOf } from '../../src/base/errors.ts';
import { unpackDebian } from './debian.ts';
import { ensureFolder } from './npm.ts';
import { cacheDir } from './paths.ts';

/** What `test/fixtures/helix-v2` imports, and Debian's packages of it. */
const MODULES = ['fastapi', 'uvicorn', 'asyncpg', 'dotenv'] as const;
const DEBIAN_PACKAGES = ['python3-fastapi', 'python3-uvicorn', 'python3-asyncpg', 'python3-dotenv'] as const;
const DEBIAN_PYTHON = '/usr/bin/python3';
const LIMIT_MS = 180_000;

export type PythonStack = PythonEnvironments | { readonly kind: 'missing'; readonly reason: string };

export interface PythonEnvironments {
  readonly kind: 'there';
  /** Makes `.venv` in a folder, with FastAPI, uvicorn and asyncpg in it; answers its interpreter. */
  readonly makeVenv: (folder: string) => Promise<string>;
  /** The same without these packages. Its pip is a stand-in, which knows nothing but how to add them. */
  readonly makeBareVenv: (folder: string) => Promise<string>;
}

let found: Promise<PythonStack> | undefined;

/** FastAPI, uvicorn and asyncpg for the tests: as installed, or from Debian into the cache; the machine is left alone. */
export const ensurePythonStack = (): Promise<PythonStack> => (found ??= find());

async function find(): Promise<PythonStack> {
  const python = existsSync(DEBIAN_PYTHON) ? DEBIAN_PYTHON : 'python3';
  const version = await run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']).catch(() => undefined);
  if (version === undefined) return { kind: 'missing', reason: 'there is no python3' };
  if (await imports(python)) {
    const place = 'import fastapi, os; print(os.path.dirname(os.path.dirname(fastapi.__file__)))';
    return environments(python, (await run(python, ['-c', place])).trim());
  }
  if (python !== DEBIAN_PYTHON) return { kind: 'missing', reason: `${MODULES.join(', ')} are not installed` };
  const folder = join(cacheDir(), `python-${version.trim()}-${process.arch}`);
  try {
    await ensureFolder(folder, fromDebian);
  } catch (error) {
    return { kind: 'missing', reason: `${DEBIAN_PACKAGES.join(', ')} cannot be had: ${messageOf(error)}` };
  }
  return environments(python, join(folder, PACKAGES));
}

const environments = (python: string, packages: string): PythonStack => ({
  kind: 'there',
  makeVenv: async folder => {
    const { interpreter, site } = await venvIn(python, folder);
    await writeFile(join(site, LINK), `${packages}\n`);
    return interpreter;
  },
  makeBareVenv: async folder => {
    const { interpreter, site } = await venvIn(python, folder);
    await writeFile(join(site, 'pip.py'), PIP(join(site, LINK), packages));
    return interpreter;
  },
});

/** By which an environment has the packages of another folder. */
const LINK = 'helix-tests.pth';
const PACKAGES = 'usr/lib/python3/dist-packages';

const PIP = (link: string, packages: string): string => `
import sys
if sys.argv[1:] != ["install", "-r", "requirements.txt"]:
    sys.exit(f"pip: what is {sys.argv[1:]}?")
for name in open("requirements.txt"):
    print("Collecting", name.strip())
open(${JSON.stringify(link)}, "w").write(${JSON.stringify(`${packages}\n`)})
print("Successfully installed")
`;

async function imports(python: string, env: NodeJS.ProcessEnv = {}): Promise<boolean> {
  const code = `import ${MODULES.join(', ')}`;
  const result = await execa(python, ['-c', code], { env, reject: false, stdin: 'ignore', timeout: LIMIT_MS });
  return result.exitCode === 0;
}

async function fromDebian(folder: string): Promise<void> {
  console.log("FastAPI, uvicorn and asyncpg: downloading Debian's packages (about 2 MB, once) ...");
  // Python itself is there, and with it all that is not a Python package.
  await unpackDebian(folder, DEBIAN_PACKAGES, /^python3-(?!minimal$)/);
  if (await imports(DEBIAN_PYTHON, { PYTHONPATH: join(folder, PACKAGES) })) return;
  throw new Error(`they do not go with ${DEBIAN_PYTHON}`);
}

async function venvIn(python: string, folder: string): Promise<{ interpreter: string; site: string }> {
  const venv = join(folder, '.venv');
  await run(python, ['-m', 'venv', '--without-pip', venv]);
  const interpreter = join(venv, 'bin/python');
  const site = (await run(interpreter, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'])).trim();
  return { interpreter, site };
}

async function run(program: string, args: readonly string[]): Promise<string> {
  return (await execa(program, args, { stdin: 'ignore', timeout: LIMIT_MS })).stdout;
}
