import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { codeOf, messageOf, UserError } from '../base/errors.ts';
import { parseConfig } from '../model/config.ts';
import type { Plan } from '../model/plan.ts';
import { planOf } from '../model/plan-of.ts';
import { realWorkspace } from '../run/runtime-dir.ts';

export const CONFIG_FILE = 'helix.config.json';

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
 * @throws {UserError} with file, line and column when the configuration cannot be used
 */
export async function loadPlan(
  folder: string,
  settings: PlanSettings = DEFAULT_PLAN_SETTINGS,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Plan | undefined> {
  const workspace = realWorkspace(folder);
  const file = join(workspace, CONFIG_FILE);
  const text = await readOptional(file);
  if (text === undefined) return undefined;
  const parsed = parseConfig(text);
  if (!parsed.ok) {
    const [first] = parsed.problems;
    const more = parsed.problems.length > 1 ? ` (and ${parsed.problems.length - 1} more)` : '';
    throw new UserError(`${file}:${first.line}:${first.column}: ${first.message}${more}`, {
      action: { label: 'Open the configuration', kind: 'open', path: file, line: first.line },
    });
  }
  return planOf(parsed.config, { workspace, source: file, settings, env: await workspaceEnvironment(workspace, env) });
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
