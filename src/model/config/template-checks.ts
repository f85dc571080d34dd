import { type Variable, VARIABLES, variablesOf } from '../variables.ts';
import { type DeclaredServices, hasPort, noService, reaches } from './declared-services.ts';
import type { ConfigPath, ConfigProblems } from './problem.ts';
import type { ServiceConfig } from './schema.ts';
import { isList } from './value.ts';

/** The strings in which variables are replaced, and those in which somebody may believe so. */
export function templatesOf(id: string, one: ServiceConfig): [ConfigPath, string][] {
  const at = ['services', id];
  const found: [ConfigPath, string][] = [];
  const add = (path: ConfigPath, template: string | undefined): void => {
    if (template !== undefined) found.push([[...at, ...path], template]);
  };
  const lists = isList(one.command) ? { '': one.command } : (one.command ?? {});
  for (const [platform, words] of Object.entries(lists)) {
    for (const [index, word] of (words ?? []).entries()) add(['command', ...(platform ? [platform] : []), index], word);
  }
  for (const [name, template] of Object.entries(one.env ?? {})) add(['env', name], template);
  add(['cwd'], one.cwd);
  add(['path'], one.path);
  add(['readiness', 'http'], one.readiness?.http);
  return found;
}

interface TemplateContext {
  /** The service that the template belongs to, or undefined for what is published. */
  readonly self: string | undefined;
  readonly services: DeclaredServices;
}

export function checkTemplate(
  at: ConfigPath,
  template: string,
  context: TemplateContext,
  problems: ConfigProblems,
): void {
  const isReplaced = context.self === undefined || at[2] === 'command' || at[2] === 'env';
  for (const variable of variablesOf(template)) {
    const problem = isReplaced
      ? variableProblem(variable, context)
      : `Variables are not replaced in ${at.slice(2).join('.')}.`;
    if (problem !== undefined) problems.atVariable(at, variable, problem);
  }
}

function variableProblem(
  { kind, argument, text: written }: Variable,
  { self, services }: TemplateContext,
): string | undefined {
  const isPeer = argument !== undefined && (kind === 'url' || kind === 'port');
  if (isPeer) return peerProblem(argument, written, self, services);
  const isOwn =
    argument === undefined
      ? ['port', 'host', 'node', 'python', 'workspaceFolder'].includes(kind)
      : kind === 'env' && argument !== '';
  if (!written.endsWith('}')) return `"${written}" has no "}". For the characters themselves write "$\${".`;
  if (!isOwn) return `Unknown variable ${written}. There are ${VARIABLES}; for the characters themselves write "$\${".`;
  if (self === undefined) return `${written} has no value outside a service; use \${url:ID} or \${port:ID}.`;
  const one = services.get(self)?.config;
  return kind === 'port' && one && !hasPort(self, one) ? `${self} has no port, so ${written} has no value.` : undefined;
}

function peerProblem(
  id: string,
  written: string,
  self: string | undefined,
  services: DeclaredServices,
): string | undefined {
  if (!services.has(id)) return noService(id, services);
  const one = services.get(id)?.config;
  if (one && !hasPort(id, one)) return `${id} has no port, so ${written} has no value.`;
  if (self === undefined || reaches(services, self, id)) return undefined;
  if (self === id) return `${written} is ${self} itself; use \${port}.`;
  return `${self} uses ${written}, so it must start after ${id}: add "${id}" to its "dependsOn".`;
}
