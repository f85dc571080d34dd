import { UserError } from '../base/errors.ts';
import type { Finding } from '../model/finding.ts';
import type { Plan } from '../model/plan.ts';
import { DEFAULT_PLAN_SETTINGS, loadPlan, type PlanSettings } from './load-plan.ts';
import { checkBands, checkProxyPort } from './doctor-ports.ts';
import { checkDotenv, checkPublishedFile } from './doctor-files.ts';
import { checkPackages, checkInterpreter } from './doctor-python.ts';
import { checkLeftovers, checkPostgres, checkStateFolder } from './doctor-runtime.ts';
import type { PythonProvider } from './outcomes.ts';
import { pythonOf } from './python.ts';

export interface DoctorOptions {
  readonly folder: string;
  readonly settings?: PlanSettings;
  readonly env?: NodeJS.ProcessEnv;
  readonly python?: PythonProvider;
  /** Folders that may hold npm's PostgreSQL. */
  readonly embeddedRoots: readonly string[];
}

/** All that checks are given. */
export interface DoctorContext extends Required<Pick<DoctorOptions, 'python' | 'embeddedRoots'>> {
  readonly plan: Plan;
}

type Check = (context: DoctorContext) => Promise<readonly Finding[]>;

const CHECKS: Readonly<Record<string, Check>> = {
  postgres: checkPostgres,
  interpreter: checkInterpreter,
  packages: checkPackages,
  dotenv: checkDotenv,
  'env-file': checkPublishedFile,
  proxy: checkProxyPort,
  'state-folder': checkStateFolder,
  leftovers: checkLeftovers,
};

/** Looks at everything that keeps services from starting, and changes nothing. A check that fails is a finding. */
export async function diagnose(options: DoctorOptions): Promise<readonly Finding[]> {
  const { folder, settings = DEFAULT_PLAN_SETTINGS, env = process.env, python = pythonOf, embeddedRoots } = options;
  const loaded = await load(folder, settings, env);
  if (!('plan' in loaded)) return [loaded.finding, ...(await attempt('bands', () => checkBands(undefined)))];
  const { plan } = loaded;
  const context = { plan, python, embeddedRoots };
  const found = await Promise.all([
    attempt('bands', () => checkBands(plan)),
    ...Object.entries(CHECKS).map(([id, check]) => attempt(id, () => check(context))),
  ]);
  const message = `${plan.services.length} services, from ${plan.source}.`;
  return [{ id: 'config', severity: 'ok', message, advice: '' }, ...found.flat()];
}

type Loaded = { readonly plan: Plan } | { readonly finding: Finding };

async function load(folder: string, settings: PlanSettings, env: NodeJS.ProcessEnv): Promise<Loaded> {
  try {
    const plan = await loadPlan(folder, settings, env);
    if (plan) return { plan };
    const message = `There is no HELIX in ${folder}: neither helix.config.json nor a HELIX v2.0 checkout.`;
    const advice = 'Name the folder with --folder, or run "HELIX: Create configuration file".';
    return { finding: { id: 'config', severity: 'error', message, advice } };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { finding: { id: 'config', severity: 'error', message: error.message, advice: 'Correct it there.' } };
  }
}

async function attempt(id: string, check: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await check();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return [{ id, severity: 'warning', message: `This could not be checked: ${message}`, advice: 'Mend that first.' }];
  }
}
