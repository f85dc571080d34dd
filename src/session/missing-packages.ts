import { access } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { Plan, PlannedService } from '../model/plan.ts';
import { commandText, installCommands, type Interpreter, missingModule } from '../model/python.ts';
import type { Problem, ServiceId } from '../model/service.ts';
import type { PythonProvider } from './outcomes.ts';
import { wantsPython } from './spec.ts';

/** How to give a failed Python service the packages that it misses. */
export interface InstallAdvice {
  readonly module: string;
  readonly interpreter: string;
  /** Where the commands run. */
  readonly folder: string;
  readonly commands: readonly (readonly string[])[];
  /** The same as one types it. */
  readonly text: string;
}

export interface FailedService {
  readonly id: ServiceId;
  readonly problem: Problem;
}

/** The advice for a service whose last words say that a package is missing; undefined for any other failure. */
export async function installAdvice(
  { id, problem }: FailedService,
  plan: Plan,
  python: PythonProvider,
): Promise<InstallAdvice | undefined> {
  const module = missingModule(problem.lastLines);
  const service = plan.services.find(one => one.id === id);
  if (module === undefined || !service) return undefined;
  const { workspace: folder } = plan;
  // A file of the project's own that is not found is no package to install.
  if ((await exists(join(service.cwd, module))) || (await exists(join(service.cwd, `${module}.py`)))) return undefined;
  const interpreter = await interpreterOf(service, plan, python);
  if (!interpreter) return undefined;
  const hasRequirements = await exists(join(folder, 'requirements.txt'));
  const { platform } = process;
  const commands = installCommands({ interpreter, module, folder, hasRequirements, platform });
  return { module, interpreter: interpreter.path, folder, commands, text: commandText(commands, platform) };
}

/** For the command line. `modules`: all that were missed at this start. */
export const installText = ({ folder, text }: InstallAdvice, modules: readonly string[]): string =>
  `Python misses ${modules.join(', ')}. To install what the project needs, run in ${folder}:\n    ${text}`;

/** The one that ran: the folder's, or the one that the configuration names. */
async function interpreterOf(
  service: PlannedService,
  plan: Plan,
  python: PythonProvider,
): Promise<Interpreter | undefined> {
  if (wantsPython(service)) {
    return python(plan).catch((error: unknown) => {
      // Why there is none is what the failure itself says.
      if (error instanceof UserError) return undefined;
      throw error;
    });
  }
  const [program = ''] = service.command;
  if (!/(^|[\\/])python[\d.]*(\.exe)?$/.test(program)) return undefined;
  const path = isAbsolute(program) || !/[\\/]/.test(program) ? program : join(service.cwd, program);
  return { path, source: plan.source, manager: 'pip', isExternallyManaged: false };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
