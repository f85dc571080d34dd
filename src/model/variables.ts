import { UserError } from '../base/errors.ts';

/** How each `${…}` is answered. A variable without an answer here is an error. */
export interface VariableLookup {
  /** `${port}`: the service's own port. */
  readonly port?: number | string;
  /** `${node}`: a Node that can be started. */
  readonly node?: string;
  /** `${python}`: the Python of the service's folder. */
  readonly python?: string;
  /** `${host}`: the address that the service listens on. */
  readonly host?: string;
  /** `${workspaceFolder}` */
  readonly workspaceFolder?: string;
  /** `${url:ID}` */
  readonly url?: (id: string) => string | undefined;
  /** `${port:ID}` */
  readonly portOf?: (id: string) => string | undefined;
  /** `${env:NAME}` */
  readonly env?: (name: string) => string | undefined;
}

/** A variable as written: its kind, and what follows the colon. */
export interface Variable {
  /** Empty for a `${` without its `}`. */
  readonly kind: string;
  readonly argument: string | undefined;
  /** Where it begins in the template. */
  readonly offset: number;
  readonly text: string;
}

/** For messages. */
export const VARIABLES = '${port}, ${host}, ${url:ID}, ${port:ID}, ${env:NAME}, ${python}, ${node}, ${workspaceFolder}';

export const variablesOf = (template: string): Variable[] => partsOf(template).filter(part => typeof part !== 'string');

/**
 * The template with its variables replaced; `$${` stands for the two characters `${`.
 * @throws {UserError} naming the variable that has no value, and the template
 */
export function substitute(template: string, lookup: VariableLookup): string {
  return partsOf(template)
    .map(part => (typeof part === 'string' ? part : required(part, template, lookup)))
    .join('');
}

/**
 * Replaces the variables that `lookup` answers and leaves the others for somebody who can. The result is a template:
 * what a value holds means itself there, however much it looks like a variable.
 */
export function substituteKnown(template: string, lookup: VariableLookup): string {
  const parts: (string | Variable)[] = [''];
  for (const part of partsOf(template)) {
    const known = typeof part === 'string' ? part : valueOf(part, lookup);
    const last = parts.at(-1);
    // Texts are joined first: a `$` at the end of one and a `{` at the start of the next are a variable together.
    if (known !== undefined && typeof last === 'string') parts[parts.length - 1] = last + known;
    else parts.push(known ?? part);
  }
  return parts.map((part, index) => (typeof part === 'string' ? escape(part, parts[index + 1]) : part.text)).join('');
}

function escape(text: string, next: unknown): string {
  const twice = (dollars: string): string => dollars + dollars;
  const escaped = text.replace(/\$+(?=\{)/g, twice);
  return next === undefined ? escaped : escaped.replace(/\$+$/, twice);
}

/**
 * Texts and variables in turn. Of the `$` before a `{` every two stand for one, so that what looks like a variable,
 * and a `$` before a variable, can be written too.
 */
function partsOf(template: string): (string | Variable)[] {
  const parts: (string | Variable)[] = [];
  let done = 0;
  for (const { 0: opening, index } of template.matchAll(/\$+\{/g)) {
    // Inside the variable before.
    if (index < done) continue;
    const dollars = opening.length - 1;
    const literal = template.slice(done, index) + '$'.repeat(Math.floor(dollars / 2));
    if (dollars % 2 === 0) {
      parts.push(`${literal}{`);
      done = index + opening.length;
      continue;
    }
    const variable = variableAt(template, index + dollars - 1);
    parts.push(literal, variable);
    done = variable.offset + variable.text.length;
  }
  parts.push(template.slice(done));
  return parts.filter(part => part !== '');
}

function variableAt(template: string, offset: number): Variable {
  const match = /^\$\{(?<kind>[^}:]*)(?::(?<argument>[^}]*))?\}/.exec(template.slice(offset));
  if (!match) return { kind: '', argument: undefined, offset, text: template.slice(offset) };
  return { kind: match.groups?.['kind'] ?? '', argument: match.groups?.['argument'], offset, text: match[0] };
}

function required(variable: Variable, template: string, lookup: VariableLookup): string {
  const value = valueOf(variable, lookup);
  if (value !== undefined) return value;
  const where = variable.text === template ? '' : ` in ${JSON.stringify(template)}`;
  throw new UserError(
    `${variable.text}${where} has no value here. Correct it in helix.config.json; for the characters themselves write $\${.`,
  );
}

function valueOf({ kind, argument }: Variable, lookup: VariableLookup): string | undefined {
  switch (argument === undefined ? kind : `${kind}:`) {
    case 'port':
      return lookup.port?.toString();
    case 'node':
      return lookup.node;
    case 'python':
      return lookup.python;
    case 'host':
      return lookup.host;
    case 'workspaceFolder':
      return lookup.workspaceFolder;
    case 'url:':
      return lookup.url?.(argument!);
    case 'port:':
      return lookup.portOf?.(argument!);
    case 'env:':
      return lookup.env?.(argument!);
    default:
      return undefined;
  }
}
