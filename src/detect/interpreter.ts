import { execa } from 'execa';
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { Interpreter, PackageManager } from '../model/python.ts';

export interface InterpreterOptions {
  /** The checkout, or the folder of a configuration. */
  readonly folder: string;
  /** What the user set: an executable, a name on the PATH, or the folder of an environment. Wins over all else. */
  readonly wanted?: { readonly value: string; readonly setBy: string } | undefined;
  /** What the editor's Python extension has selected. */
  readonly selected?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly platform?: NodeJS.Platform;
}

/** HELIX's own two last. */
const VENV_FOLDERS = ['.venv', 'venv', 'helix_env'] as const;
/** A first call of Poetry on a cold disk takes seconds. */
const ASK_MS = 20_000;

/**
 * The Python of a folder: the user's setting, the Python extension's choice, an environment in the folder, the one
 * that uv or Poetry keeps for it, or the first that works on the PATH.
 * @throws {UserError} when there is none, or the one that was set does not exist
 */
export async function findInterpreter(options: InterpreterOptions): Promise<Interpreter> {
  const look: Look = {
    folder: options.folder,
    env: options.env ?? process.env,
    platform: options.platform ?? process.platform,
    manager: await projectManager(options.folder),
  };
  const found =
    (options.wanted && (await wantedInterpreter(options.wanted, look))) ??
    (await selectedInterpreter(options.selected, look)) ??
    (await environmentInFolder(look)) ??
    (await environmentOfManager(look)) ??
    (await systemInterpreter(look));
  if (found) return found;
  throw new UserError(
    `No Python was found for ${options.folder}: no ${VENV_FOLDERS.join(', ')} in it, and none on the PATH. ` +
      'Install Python 3, or name one with the setting helix.python or HELIX_PYTHON in .env.',
  );
}

interface Look {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly platform: NodeJS.Platform;
  readonly manager: PackageManager;
}

async function wantedInterpreter(
  { value, setBy }: NonNullable<InterpreterOptions['wanted']>,
  look: Look,
): Promise<Interpreter> {
  const home = value.replace(/^~(?=[\\/]|$)/, homedir());
  const named = /[\\/]/.test(home) ? resolve(look.folder, home) : await onPath(home, look);
  const candidates = named ? [named] : [];
  // A bare name can be an environment's folder, too.
  candidates.push(...pythonsIn(resolve(look.folder, home), look.platform));
  for (const path of candidates) if (await isProgram(path, look.platform)) return interpreterAt(path, setBy, look);
  throw new UserError(
    `${setBy} is ${JSON.stringify(value)}, and there is no Python. Correct it, or leave it empty to have one found.`,
    {
      action: {
        label: 'Open settings',
        kind: 'command',
        command: 'workbench.action.openSettings',
        args: ['helix.python'],
      },
    },
  );
}

async function selectedInterpreter(path: string | undefined, look: Look): Promise<Interpreter | undefined> {
  if (!path || !isAbsolute(path)) return undefined;
  for (const one of [path, ...pythonsIn(path, look.platform)]) {
    if (await isProgram(one, look.platform)) return interpreterAt(one, 'the Python extension', look);
  }
  return undefined;
}

async function environmentInFolder(look: Look): Promise<Interpreter | undefined> {
  const ofProject = look.env['UV_PROJECT_ENVIRONMENT'];
  const names = [...(look.manager === 'uv' && ofProject ? [ofProject] : []), ...VENV_FOLDERS];
  for (const name of names) {
    for (const path of pythonsIn(resolve(look.folder, name), look.platform)) {
      if (await isProgram(path, look.platform)) return interpreterAt(path, name, look);
    }
  }
  return undefined;
}

/** Environments that are kept elsewhere are known to their tool alone. */
async function environmentOfManager(look: Look): Promise<Interpreter | undefined> {
  if (look.manager !== 'uv' && look.manager !== 'poetry') return undefined;
  const program = await onPath(look.manager, look);
  if (!program) return undefined;
  const question = look.manager === 'uv' ? ['python', 'find'] : ['env', 'info', '--executable'];
  const answer = await ask([program, ...question], look);
  const path = answer?.trim().split(/\r?\n/).at(-1) ?? '';
  if (!isAbsolute(path) || !(await isProgram(path, look.platform))) return undefined;
  return interpreterAt(path, look.manager, look);
}

const ABOUT = [
  'import json, os, sys, sysconfig',
  'managed = os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))',
  'print(json.dumps([sys.version_info[0], sys.executable, managed and sys.prefix == sys.base_prefix]))',
].join('\n');

/** `-I`: nothing of the folder is imported. Asked to run, because what is found may be Python 2, a shim without a version, or the store's advertisement. */
async function systemInterpreter(look: Look): Promise<Interpreter | undefined> {
  const names = look.platform === 'win32' ? ['python3', 'python', 'py'] : ['python3', 'python'];
  for (const name of names) {
    const program = await onPath(name, look);
    const about = program && parseAbout(await ask([program, '-I', '-c', ABOUT], look));
    if (!about || about.major < 3) continue;
    const { path, isExternallyManaged } = about;
    return { path, source: `${name} on the PATH`, manager: look.manager, isExternallyManaged };
  }
  return undefined;
}

function parseAbout(
  text: string | undefined,
): { major: number; path: string; isExternallyManaged: boolean } | undefined {
  try {
    const [major, path, isExternallyManaged] = JSON.parse(text ?? '') as unknown[];
    if (typeof major !== 'number' || typeof path !== 'string' || !isAbsolute(path)) return undefined;
    return { major, path, isExternallyManaged: isExternallyManaged === true };
  } catch {
    return undefined;
  }
}

async function interpreterAt(path: string, source: string, look: Look): Promise<Interpreter> {
  const settings = await readFile(join(dirname(dirname(path)), 'pyvenv.cfg'), 'utf8').catch(() => undefined);
  if (settings !== undefined) {
    // uv's environments have no pip unless they were made with --seed.
    const manager = look.manager === 'pip' && /^uv\s*=/m.test(settings) ? 'uv pip' : look.manager;
    return { path, source, manager, isExternallyManaged: false };
  }
  const about = parseAbout(await ask([path, '-I', '-c', ABOUT], look));
  return { path, source, manager: look.manager, isExternallyManaged: about?.isExternallyManaged ?? false };
}

/** The tool that the project's own files name. */
async function projectManager(folder: string): Promise<PackageManager> {
  const pyproject = await readFile(join(folder, 'pyproject.toml'), 'utf8').catch(() => '');
  const has = (name: string): Promise<boolean> => isFile(join(folder, name));
  if ((await has('uv.lock')) || /^\s*\[tool\.uv[\].]/m.test(pyproject)) return 'uv';
  if ((await has('poetry.lock')) || /^\s*\[tool\.poetry[\].]/m.test(pyproject)) return 'poetry';
  return 'pip';
}

function pythonsIn(environment: string, platform: NodeJS.Platform): string[] {
  return platform === 'win32'
    ? [join(environment, 'Scripts', 'python.exe')]
    : [join(environment, 'bin', 'python'), join(environment, 'bin', 'python3')];
}

async function onPath(name: string, { env, platform }: Look): Promise<string | undefined> {
  const path = Object.entries(env).find(([key]) => key.toUpperCase() === 'PATH')?.[1] ?? '';
  const endings = platform === 'win32' ? ['.exe', '.cmd', '.bat'] : [''];
  for (const folder of path.split(delimiter)) {
    // A relative entry means whatever folder we happen to be in: never one to run a program from.
    if (!isAbsolute(folder)) continue;
    for (const ending of endings) {
      const program = join(folder, name.endsWith(ending) ? name : name + ending);
      if (await isProgram(program, platform)) return program;
    }
  }
  return undefined;
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    one => one.isFile(),
    () => false,
  );

async function isProgram(path: string, platform: NodeJS.Platform): Promise<boolean> {
  if (!(await isFile(path))) return false;
  if (platform === 'win32') return true;
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** What the program prints, or undefined if it fails or takes too long. */
async function ask(command: readonly string[], { folder, env }: Look): Promise<string | undefined> {
  const [file, ...args] = command;
  const result = await execa(file!, args, {
    cwd: folder,
    env,
    extendEnv: false,
    timeout: ASK_MS,
    reject: false,
    stdin: 'ignore',
    windowsHide: true,
  });
  return result.exitCode === 0 ? result.stdout : undefined;
}
