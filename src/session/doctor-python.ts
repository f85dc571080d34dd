import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../base/errors.ts';
import type { Finding } from '../model/finding.ts';
import { commandText, installCommands, type Interpreter } from '../model/python.ts';
import { wantsPython } from './spec.ts';
import type { DoctorContext } from './doctor.ts';

const run = promisify(execFile);

/** A first import on a cold disk takes seconds. */
const ASK_MS = 30_000;

/** Prints those of the distributions it is given that are not installed, one a line. */
const MISSING_DISTRIBUTIONS = `
import sys
from importlib import metadata
for name in sys.argv[1:]:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        print(name)
`;
/** The same for top-level modules. */
const MISSING_MODULES = `
import sys
from importlib import util
for name in sys.argv[1:]:
    if util.find_spec(name) is None:
        print(name)
`;

export async function checkInterpreter(context: DoctorContext): Promise<readonly Finding[]> {
  if (!context.plan.services.some(wantsPython)) return [];
  const id = 'interpreter';
  try {
    const { path, source } = await context.python(context.plan);
    const { stdout, stderr } = await run(path, ['--version'], { timeout: ASK_MS, windowsHide: true });
    const version = (stdout || stderr).trim();
    return [{ id, severity: 'ok', message: `${version} at ${path} (${source}).`, advice: '' }];
  } catch (error) {
    if (error instanceof UserError) return [failure(id, error.message)];
    return [
      failure(id, `The Python of this folder does not run: ${error instanceof Error ? error.message : String(error)}`),
    ];
  }
}

const failure = (id: string, message: string): Finding => ({
  id,
  severity: 'error',
  message,
  advice: 'Install Python 3, or name one with the setting helix.python or HELIX_PYTHON in .env.',
});

/** Whether what `requirements.txt` names is installed, or without one the modules that the commands run. */
export async function checkPackages({ plan, python }: DoctorContext): Promise<readonly Finding[]> {
  const services = plan.services.filter(wantsPython);
  if (services.length === 0) return [];
  // That there is none is told by `checkInterpreter`.
  const interpreter = await python(plan).catch(() => undefined);
  if (!interpreter) return [];
  const requirements = await readFile(join(plan.workspace, 'requirements.txt'), 'utf8').catch(() => undefined);
  const distributions = requirementsIn(requirements ?? '');
  const wanted = requirements === undefined ? modulesOf(services.map(one => one.command)) : distributions;
  const script = requirements === undefined ? MISSING_MODULES : MISSING_DISTRIBUTIONS;
  const missing = await missingIn(interpreter, script, wanted);
  const id = 'packages';
  if (missing.length === 0)
    return [
      { id, severity: 'ok', message: `Python has all ${wanted.length} packages that are asked for.`, advice: '' },
    ];
  const { platform } = process;
  const { workspace: folder } = plan;
  const hasRequirements = requirements !== undefined;
  const commands = installCommands({ interpreter, module: missing[0]!, folder, hasRequirements, platform });
  const message = `Python at ${interpreter.path} lacks ${missing.join(', ')}.`;
  return [{ id, severity: 'error', message, advice: `Run in ${folder}: ${commandText(commands, platform)}` }];
}

async function missingIn(interpreter: Interpreter, script: string, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const { stdout } = await run(interpreter.path, ['-c', script, ...names], { timeout: ASK_MS, windowsHide: true });
  return stdout.split(/\r?\n/).filter(Boolean);
}

/** The distributions that a requirements file asks for on every platform; options, links and files are passed over. */
export function requirementsIn(text: string): string[] {
  return text.split(/\r?\n/).flatMap(line => {
    const entry = line.replace(/(^|\s)#.*$/, '').trim();
    const name = /^(?<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?:$|[(<>=!~])/.exec(entry);
    return name && !entry.includes(';') ? name.groups!['name']! : [];
  });
}

/** The packages that `${python} -m MODULE` needs, without those of the project itself. */
const modulesOf = (commands: readonly (readonly string[])[]): string[] => [
  ...new Set(
    commands.flatMap(([program, flag, module]) =>
      program === '${python}' && flag === '-m' && module && !module.startsWith('src.') ? module.split('.')[0]! : [],
    ),
  ),
];
