import type { Plan } from '../model/plan.ts';
import type { Interpreter } from '../model/python.ts';

/** What an editor knows beyond the folder. */
export interface PythonChoice {
  /** Its setting `helix.python`; empty for none. */
  readonly setting: string;
  /** What its Python extension has selected for the folder. */
  readonly selected: string | undefined;
}

/** The variable that says the same as the setting `helix.python`, for the command line too. */
export const PYTHON_VARIABLE = 'HELIX_PYTHON';

/** The Python that a plan's services run with. Loaded when it is needed: most stacks have none. */
export async function pythonOf(plan: Plan, choice?: PythonChoice): Promise<Interpreter> {
  const { findInterpreter } = await import('../detect/interpreter.ts');
  const byVariable = plan.environment[PYTHON_VARIABLE]?.trim();
  const wanted = choice?.setting.trim()
    ? { value: choice.setting.trim(), setBy: 'The setting helix.python' }
    : byVariable
      ? { value: byVariable, setBy: PYTHON_VARIABLE }
      : undefined;
  return findInterpreter({ folder: plan.workspace, wanted, selected: choice?.selected });
}
