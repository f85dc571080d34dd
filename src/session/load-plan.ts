import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { codeOf, messageOf, UserError } from '../base/errors.ts';
import { DETECTED, detect, foldersBelow } from '../detect/detect.ts';
import { type HelixConfig, parseConfig } from '../model/config.ts';
import type { Plan } from '../model/plan.ts';
import { planOf } from '../model/plan-of.ts';
import { realWorkspace } from '../run/runtime-dir.ts';
import { CONFIG_FILE } from './config-file.ts';

/** What the editor's settings, or the command line, add to a folder's own configuration; the configuration wins. */
export interface PlanSettings {
  /** Relative to the folder; empty for none. */
  readonly envFile: string;
  readonly names: Readonly<Record<string, string>>;
  readonly publishSettings: boolean;
  readonly keepOnStop: boolean;
  readonly postgresEngine: Plan['postgres']['engine'];
}

export const DEFAULT_PLAN_SETTINGS: PlanSettings = {
  envFile: '.env.local',
  names: {},
  publishSettings: true,
  keepOnStop: false,
  postgresEngine: 'auto',
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
  return planOf(config, { workspace, source, settings, env: await workspaceEnvironment(workspace, env) });
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

/** The process's environment over the folder's `.env`, the priority that HELIX itself has. `.env` is only read. */
async function workspaceEnvironment(workspace: string, env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  const file = await readOptional(resolve(workspace, '.env'));
  const own = file === undefined ? {} : parseDotenv(file);
  const set = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...own, ...Object.fromEntries(set) };
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw new UserError(`${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
