import { execa } from 'execa';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Interpreter, type Requirement, requirementsOf } from '../model/python.ts';

const LIMIT_MS = 20_000;

/** Without a requirements.txt: what HELIX v2.0 cannot run without. */
const NEEDED: readonly Requirement[] = ['fastapi', 'uvicorn', 'asyncpg'].map(name => ({ name }));

// An environment marker can only be judged by the interpreter itself, and only where pip brought the code for it.
const LOOK = `
import importlib.metadata, json, sys
def wanted(one):
    if "marker" not in one:
        return True
    try:
        from pip._vendor.packaging.markers import Marker
        return Marker(one["marker"]).evaluate()
    except Exception:
        return False
def missing(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return True
print(json.dumps([one["name"] for one in json.loads(sys.argv[1]) if wanted(one) and missing(one["name"])]))
`;

/**
 * What the folder's requirements.txt asks for and the interpreter does not have; versions are for pip to judge.
 * Undefined when the interpreter could not be asked.
 */
export async function missingPackages(
  interpreter: Interpreter,
  folder: string,
): Promise<readonly string[] | undefined> {
  const text = await readFile(join(folder, 'requirements.txt'), 'utf8').catch(() => undefined);
  const wanted = text === undefined ? NEEDED : requirementsOf(text);
  const result = await execa(interpreter.path, ['-c', LOOK, JSON.stringify(wanted)], {
    cwd: folder,
    timeout: LIMIT_MS,
    reject: false,
    stdin: 'ignore',
    windowsHide: true,
  });
  try {
    const names: unknown = JSON.parse(result.stdout ?? '');
    return Array.isArray(names) ? names.filter(name => typeof name === 'string') : undefined;
  } catch {
    return undefined;
  }
}
