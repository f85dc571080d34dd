import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { codeOf, messageOf, UserError } from '../base/errors.ts';
import { DETECTED, detect, foldersBelow } from '../detect/detect.ts';
import { type HelixConfig, parseConfig } from '../model/config.ts';
import { envValues, type EnvVariable, parseEnvFile } from '../model/env-file.ts';
import type { Plan } from '../model/plan.ts';
import { withFront } from '../model/front.ts';
import { planOf, type ProxyDefaults } from '../model/plan-of.ts';
import { withReplicas } from '../model/replicas.ts';
import { realWorkspace } from '../run/runtime-dir.ts';
import { readReplicaCounts } from './scale.ts';
import { CONFIG_FILE } from './config-file.ts';

export const ENV_FILE = '.env';

/** What the editor's settings, or the command line, add to a folder's own configuration; the configuration wins. */
export interface PlanSettings {
  /** Relative to the folder; empty for none. */
  readonly envFile: string;
  readonly names: Readonly<Record<string, string>>;
  readonly publishSettings: boolean;
  readonly keepOnStop: boolean;
  readonly postgresEngine: Plan['postgres']['engine'];
  readonly postgresImage?: string;
  readonly proxy: ProxyDefaults;
}

export const DEFAULT_PLAN_SETTINGS: PlanSettings = {
  envFile: '.env.local',
  names: {},
  publishSettings: true,
  keepOnStop: false,
  postgresEngine: 'auto',
  proxy: { enabled: true, engine: 'embedded', nginxPath: '', drainSeconds: 30 },
};

/**
 * What is to run in this folder; undefined when it has no HELIX.
 * @throws {UserError} with file, line and column when the configuration cannot be used, or when there are several
 */
export async function loadPlan(
  folder: string,
  settings: PlanSettings = DEFAULT_PLAN_SETTINGS,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Plan | undefined> {
  const plans = await loadPlans(folder, settings, env);
  if (plans.length > 1) {
    const names = plans.map(plan => relative(realWorkspace(folder), plan.workspace)).join(', ');
    throw new UserError(`${folder} holds several stacks: ${names}. Name the folder of one with --folder.`);
  }
  return plans[0];
}

/**
 * The stacks of a folder: its own, by its configuration or because it is a HELIX v2.0 checkout, or else those of the
 * folders right below it, as in a monorepo. Each has the folder that it was found in as its workspace.
 * @throws {UserError} with file, line and column when a configuration cannot be used
 */
export async function loadPlans(
  folder: string,
  settings: PlanSettings = DEFAULT_PLAN_SETTINGS,
  env: NodeJS.ProcessEnv = process.env,
): Promise<readonly Plan[]> {
  const workspace = realWorkspace(folder);
  const own = await planIn(workspace, settings, env);
  if (own) return [own];
  const below = await foldersBelow(workspace);
  const plans = await Promise.all(below.map(one => planIn(one, settings, env)));
  return plans.filter(plan => plan !== undefined);
}

async function planIn(workspace: string, settings: PlanSettings, env: NodeJS.ProcessEnv): Promise<Plan | undefined> {
  const file = join(workspace, CONFIG_FILE);
  const text = await readOptional(file);
  const detected = text === undefined ? await detect(workspace, env) : undefined;
  const config = text === undefined ? detected?.config : checkedConfig(file, text);
  if (!config) return undefined;
  const source = detected ? DETECTED : file;
  const own = await readEnvFile(workspace);
  const plan = planOf(config, {
    workspace,
    source,
    settings,
    env: { ...envValues(own), ...present(env) },
    placeOf: name => {
      const variable = env[name] === undefined ? own.findLast(one => one.name === name) : undefined;
      return variable && `${join(workspace, ENV_FILE)}:${variable.line}:${variable.column}`;
    },
  });
  return withReplicas(withFront(plan), await readReplicaCounts(workspace));
}

function checkedConfig(file: string, text: string): HelixConfig {
  const parsed = parseConfig(text);
  if (parsed.ok) return parsed.config;
  const [first] = parsed.problems;
  const more = parsed.problems.length > 1 ? ` (and ${parsed.problems.length - 1} more)` : '';
  throw new UserError(`${file}:${first.line}:${first.column}: ${first.message}${more}`, {
    action: { label: 'Open the configuration', kind: 'open', path: file, line: first.line },
  });
}

/**
 * The variables of the folder's `.env`, which is only ever read. The process's own environment wins over it, as it does
 * for HELIX itself.
 * @throws {UserError} with line and column when it cannot be read as text
 */
export async function readEnvFile(workspace: string): Promise<readonly EnvVariable[]> {
  const file = join(workspace, ENV_FILE);
  const text = await readOptional(file);
  const parsed = parseEnvFile(text ?? '');
  if (parsed.ok) return parsed.variables;
  const { line, column, message } = parsed.problem;
  throw new UserError(`${file}:${line}:${column}: ${message}`, {
    action: { label: 'Open .env', kind: 'open', path: file, line },
  });
}

const present = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw new UserError(`${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
