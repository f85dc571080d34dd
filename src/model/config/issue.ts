import type * as z from 'zod/mini';
import { hint } from './hint.ts';
import type { ConfigPath, ConfigProblems } from './problem.ts';
import { configSchema } from './schema.ts';
import { valueAt } from './value.ts';

type Issue = z.core.$ZodIssue;

/** Tells what the schema has found, in words for who wrote the file. */
export function reportIssue(issue: Issue, value: unknown, problems: ConfigProblems): void {
  const at = issue.path.map(key => (typeof key === 'symbol' ? String(key) : key));
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys) {
        // Told already, by `checkKeys`.
        if (problems.isFull || key === '__proto__') continue;
        problems.atKey([...at, key], `${inWords(at)} has no "${key}".${hint(key, keysOf(configSchema, at))}`);
      }
      return;
    case 'invalid_key':
      return problems.atKey(at, `"${at.at(-1)}" ${issue.issues[0]?.message ?? 'is not a valid key'}.`);
    case 'invalid_union': {
      // An alternative whose kind of value fits, and only what is in it does not, is the one that was meant.
      const meant = issue.errors.find(issues =>
        issues.every(one => one.path.length > 0 || (one.code !== 'invalid_type' && one.code !== 'invalid_value')),
      );
      if (!meant)
        return problems.atValue(
          at,
          `${inWords(at)} must be ${expectedBy(issue.errors.flat())}, not ${show(valueAt(value, at))}.`,
        );
      for (const one of meant) reportIssue({ ...one, path: [...issue.path, ...one.path] }, value, problems);
      return;
    }
    default:
      problems.atValue(at, messageFor(issue, at, valueAt(value, at)));
  }
}

function messageFor(issue: Issue, at: ConfigPath, actual: unknown): string {
  const subject = inWords(at);
  if (actual === undefined) return `${inWords(at.slice(0, -1))} needs "${at.at(-1)}".`;
  switch (issue.code) {
    case 'invalid_type':
    case 'invalid_value':
      return `${subject} must be ${expectedBy([issue])}, not ${show(actual)}.`;
    case 'too_small':
    case 'too_big':
      return `${subject} must ${limitOf(issue)}.`;
    default:
      return `${subject} ${issue.message}.`;
  }
}

function limitOf(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  if (issue.origin === 'string' || issue.origin === 'array') return 'not be empty';
  if (issue.code === 'too_big') return `be at most ${issue.maximum}`;
  return issue.inclusive ? `be at least ${issue.minimum}` : `be more than ${issue.minimum}`;
}

function expectedBy(issues: readonly Issue[]): string {
  const kinds = issues.flatMap(issue => {
    if (issue.code === 'invalid_value') return issue.values.map(one => JSON.stringify(one));
    if (issue.code !== 'invalid_type') return [];
    return KINDS[issue.expected] ?? issue.expected;
  });
  const [last, ...others] = [...new Set(kinds)].reverse();
  return others.length > 0 ? `${others.reverse().join(', ')} or ${last}` : (last ?? 'something else');
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const shown = JSON.stringify(value);
  return shown.length > 40 ? `${shown.slice(0, 39)}…` : shown;
}

const inWords = (at: ConfigPath): string => (at.length === 0 ? 'The configuration' : at.join('.'));

/** The keys that the schema knows at a path. */
function keysOf(schema: z.core.$ZodType, at: ConfigPath): readonly string[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const [key, ...rest] = at;
  switch (def.type) {
    case 'optional':
      return keysOf(def.innerType, at);
    case 'union':
      return def.options.flatMap(option => keysOf(option, at));
    case 'record':
      return key === undefined ? [] : keysOf(def.valueType, rest);
    case 'object': {
      if (key === undefined) return Object.keys(def.shape);
      const inner = def.shape[key];
      return inner ? keysOf(inner, rest) : [];
    }
    default:
      return [];
  }
}
