import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { type EnvVariable, parseEnvFile } from '../model/env-file.ts';
import type { Finding } from '../model/finding.ts';
import { gitStateOf } from '../publish/git-ignore.ts';
import type { DoctorContext } from './doctor.ts';

/** Assigned by HELIX; a number in `.env` is what every other program would believe. */
const DYNAMIC_PORTS = ['API_PORT', 'ORCHESTRATOR_PORT', 'WORKER_PORT'];

/** Values are never told: any of them may be a secret. */
export async function checkDotenv({ plan }: DoctorContext): Promise<readonly Finding[]> {
  const file = join(plan.workspace, '.env');
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return [{ id: 'env', severity: 'ok', message: 'There is no .env.', advice: '' }];
  const parsed = parseEnvFile(text);
  // That it cannot be read is told where the plan is made.
  if (!parsed.ok) return [];
  const findings = [...hardCoded(file, parsed.variables), ...duplicates(file, parsed.variables)];
  return findings.length > 0 ? findings : [{ id: 'env', severity: 'ok', message: `${file} is fine.`, advice: '' }];
}

function hardCoded(file: string, variables: readonly EnvVariable[]): Finding[] {
  return variables
    .filter(({ name, value }) => DYNAMIC_PORTS.includes(name) && value.trim() !== '')
    .map(({ name, line, column }) => ({
      id: 'env-hard-coded-port',
      severity: 'warning',
      message: `${file}:${line}:${column}: ${name} is set to a fixed number, which is not the port that HELIX assigns.`,
      advice: `Leave it empty (${name}=): the port is assigned at each start and told to every service.`,
    }));
}

function duplicates(file: string, variables: readonly EnvVariable[]): Finding[] {
  const byName = new Map<string, EnvVariable[]>();
  for (const one of variables) byName.set(one.name, [...(byName.get(one.name) ?? []), one]);
  return [...byName]
    .filter(([, all]) => all.length > 1)
    .map(([name, all]) => ({
      id: 'env-duplicate',
      severity: 'warning',
      message: `${file}:${all.at(-1)!.line}:${all.at(-1)!.column}: ${name} is there ${all.length} times, in lines ${all.map(one => one.line).join(', ')}; the last one counts.`,
      advice: 'Keep the one that is meant, and remove the others.',
    }));
}

/** The addresses in it are true on this machine only. */
export async function checkPublishedFile({ plan }: DoctorContext): Promise<readonly Finding[]> {
  const { envFile } = plan.publish;
  if (envFile === undefined) return [];
  const name = basename(envFile);
  switch (await gitStateOf(envFile)) {
    case 'ignored':
      return [{ id: 'env-local-ignored', severity: 'ok', message: `${name} is ignored by git.`, advice: '' }];
    case 'noRepository':
      return [{ id: 'env-local-ignored', severity: 'ok', message: 'This folder is no git repository.', advice: '' }];
    case 'unknown':
      return [];
    case 'notIgnored':
      return [
        {
          id: 'env-local-not-ignored',
          severity: 'warning',
          message: `${envFile} is not ignored by git; the addresses in it are true on this machine only.`,
          advice: `Add the line /${name} to .gitignore.`,
        },
      ];
    case 'tracked':
      return [
        {
          id: 'env-local-tracked',
          severity: 'warning',
          message: `${envFile} is committed to git, and changes with every start.`,
          advice: `Run git rm --cached ${name}, and add the line /${name} to .gitignore.`,
        },
      ];
  }
}
