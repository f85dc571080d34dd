import { parse } from 'dotenv';

/** An assignment of a `.env`, in the file's order. Of two of one name the last one counts. Line and column from 1. */
export interface EnvVariable {
  readonly name: string;
  readonly value: string;
  readonly line: number;
  /** Of the name. */
  readonly column: number;
}

/** Why a `.env` cannot be used. */
export interface EnvProblem {
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

export type EnvFile =
  | { readonly ok: true; readonly variables: readonly EnvVariable[] }
  | { readonly ok: false; readonly problem: EnvProblem };

/** `dotenv`'s own pattern up to the value; whether what looks so is an assignment is for `dotenv` to say. */
const ASSIGNMENT = /^(?<before>\s*(?:export\s+)?)(?<name>[\w.-]+)(?=\s*=|:\s)/gm;

/** Reads a `.env` as `dotenv` does, and keeps where each variable stands. Never throws. */
export function parseEnvFile(text: string): EnvFile {
  const problem = unreadableAt(text);
  return problem ? { ok: false, problem } : { ok: true, variables: variablesOf(text) };
}

/** The values that count, by name. */
export const envValues = (variables: readonly EnvVariable[]): Readonly<Record<string, string>> =>
  Object.fromEntries(variables.map(({ name, value }) => [name, value]));

/**
 * What looks like an assignment may be a line of a quoted value. Each gets a name of its own, and those that `dotenv`
 * then knows are assignments.
 */
function variablesOf(text: string): EnvVariable[] {
  const prefix = unusedPrefix(text);
  const places: { readonly name: string; readonly offset: number }[] = [];
  const renamed = text.replace(ASSIGNMENT, (_match, before: string, name: string, offset: number) => {
    places.push({ name, offset: offset + before.length });
    return `${before}${prefix}${places.length - 1}`;
  });
  const values = parse(renamed);
  const restored = (value: string): string =>
    value.replace(new RegExp(`${prefix}(\\d+)`, 'g'), (_match, index: string) => places[Number(index)]!.name);
  const real = places.flatMap(({ name, offset }, index) => {
    const value = values[`${prefix}${index}`];
    return value === undefined ? [] : [{ name, offset, value: restored(value) }];
  });
  const placeOf = placesIn(text);
  return real.map(({ name, value, offset }) => ({ name, value, ...placeOf(offset) }));
}

function unusedPrefix(text: string): string {
  let prefix = 'HELIX_LINE_';
  while (text.includes(prefix)) prefix += '_';
  return prefix;
}

/** No process can be given a NUL, and a file full of them is UTF-16, as Windows PowerShell's ">" writes it. */
function unreadableAt(text: string): EnvProblem | undefined {
  const offset = text.indexOf('\0');
  if (offset < 0) return undefined;
  const message =
    text.startsWith('\ufffd\ufffd') || text[1] === '\0'
      ? 'The file is UTF-16, which nobody reads. Save it as UTF-8.'
      : 'A NUL character cannot be part of a variable. Remove it.';
  return { message, ...placesIn(text)(offset) };
}

/** Line and column of offsets that grow. */
function placesIn(text: string): (offset: number) => { line: number; column: number } {
  const ends = /\r\n|\n|\r/g;
  let line = 1;
  let start = 0;
  let next = ends.exec(text);
  return offset => {
    while (next && ends.lastIndex <= offset) {
      line++;
      start = ends.lastIndex;
      next = ends.exec(text);
    }
    return { line, column: offset - start + 1 };
  };
}
