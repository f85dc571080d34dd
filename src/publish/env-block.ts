import { parse as parseDotenv } from 'dotenv';
import { UserError } from '../base/errors.ts';

/**
 * The marked block of an env file, byte for byte. Everything is done on latin1 text, which maps every byte to one
 * character and back, so what stands outside the block comes through untouched, invalid UTF-8 included.
 *
 * A block ends with a line end, unless the file had none at its end: then the block, being last, has none either, and
 * the line end that parts it from the line before is the block's. So `removeBlock` gives back the very file that
 * there was.
 */
const BEGIN = '# >>> HELIX Dynamic Ports: written by the extension, changes here are overwritten';
const END = '# <<< HELIX Dynamic Ports';
const BEGIN_MARK = /^# >>> HELIX Dynamic Ports\b/;
const END_MARK = /^# <<< HELIX Dynamic Ports\b/;
const LINE_END = /(?:\r\n|\n|\r)$/;
/** UTF-8's byte order mark, read as latin1. */
const BOM = '\xef\xbb\xbf';
/** Far more than any file has stray marks that hide one another. */
const MAX_PASSES = 50;

export interface BlockResult {
  readonly content: Buffer;
  /** Names that are set outside the block as well. Those lines are left alone; most readers take the last one. */
  readonly shadowed: readonly string[];
}

/**
 * The content with a block that says exactly `values`, in their order. With none the block stays, empty; where there
 * is no block none is made for that. A new block goes to the end, where readers that take the last of two find it.
 *
 * Damaged marks: a begin without an end loses its mark, and of the lines right below it those that set a name being
 * written now; an end without a begin loses its mark; of several blocks the first stays. Every other line is kept.
 * @throws {UserError} for a name or a value that readers of env files would not agree on
 */
export function applyBlock(content: Buffer | undefined, values: ReadonlyMap<string, string>): BlockResult {
  let result = applyOnce(content, values);
  // Where a stray mark goes, its neighbours meet, and can be another mark, line end or byte order mark together. So it
  // is done until nothing changes any more, which for a file without damage is at once.
  for (let left = MAX_PASSES; left > 0; left--) {
    const again = applyOnce(result.content, values);
    if (again.content.equals(result.content)) break;
    result = again;
  }
  return result;
}

function applyOnce(content: Buffer | undefined, values: ReadonlyMap<string, string>): BlockResult {
  const original = content ?? Buffer.alloc(0);
  const file = split(original, values);
  const shadowed = namesSetIn(file.before + file.after).filter(name => values.has(name));
  if (values.size === 0 && file.block === undefined) return { content: original, shadowed };
  const eol = lineEndOf(file.before + file.after) ?? lineEndOf(file.block ?? '') ?? '\n';
  const lines = [BEGIN, ...[...values].map(([name, value]) => assignment(name, value)), END];
  // The block's old line end is kept: another one could melt together with what follows.
  const { start = file.isOpen ? eol : '', end = file.isOpen ? '' : eol } = file;
  const text = file.before + start + lines.join(eol) + end + file.after;
  return { content: Buffer.from(text, 'latin1'), shadowed };
}

/** The content as it was before there was a block. */
export function removeBlock(content: Buffer): Buffer {
  const { before, after } = split(content, new Map());
  return Buffer.from(before + after, 'latin1');
}

/** What the block says; undefined when there is no whole block. */
export function readBlock(content: Buffer): ReadonlyMap<string, string> | undefined {
  const { block } = split(content, new Map());
  return block === undefined ? undefined : new Map(Object.entries(parseDotenv(Buffer.from(block, 'latin1'))));
}

/** A file taken apart at its block. `before` and `after` are the user's. */
interface Parts {
  readonly before: string;
  readonly after: string;
  /** The whole block that was found, with its marks. */
  readonly block?: string;
  /** The line ends around the block, or around what is left of one. */
  readonly start?: string;
  readonly end?: string;
  /** The block is, or would be, last in a file that does not end with a line end. */
  readonly isOpen: boolean;
}

/** A stretch of lines that is ours: a whole block, or what is left of one. */
interface Span {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  readonly isWhole: boolean;
}

function split(content: Buffer, values: ReadonlyMap<string, string>): Parts {
  const whole = content.toString('latin1');
  const bom = whole.startsWith(BOM) ? BOM : '';
  const text = whole.slice(bom.length);
  const lines = text.match(/[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$/g) ?? [];
  const spans = findSpans(lines, new Set(values.keys()));
  const place = spans.find(span => span.isWhole) ?? spans[0];
  if (!place) return { before: whole, after: '', isOpen: text !== '' && !LINE_END.test(text) };
  const users = (from: number, to: number): string =>
    lines
      .slice(from, to)
      .filter((_, index) => !spans.some(span => from + index >= span.from && from + index < span.to))
      .join('');
  const before = users(0, place.from);
  const end = LINE_END.exec(lines[place.to - 1]!)?.[0] ?? '';
  const [parting = ''] = end === '' ? (LINE_END.exec(before) ?? []) : [];
  // Before the first line there is nothing to part it from, so that an empty line up there is the user's.
  const start = parting.length < before.length ? parting : '';
  return {
    before: bom + before.slice(0, before.length - start.length),
    after: users(place.to, lines.length),
    isOpen: end === '',
    start,
    end,
    ...(place.isWhole && { block: lines.slice(place.from, place.to).join('') }),
  };
}

function findSpans(lines: readonly string[], names: ReadonlySet<string>): Span[] {
  const marks = lines.flatMap((line, index) => {
    const isBegin = BEGIN_MARK.test(line);
    return isBegin || END_MARK.test(line) ? [{ index, isBegin }] : [];
  });
  return marks.flatMap(({ index, isBegin }, position): Span[] => {
    const next = marks[position + 1];
    const previous = marks[position - 1];
    if (!isBegin) return previous?.isBegin ? [] : [{ from: index, to: index + 1, isWhole: false }];
    if (next && !next.isBegin) return [{ from: index, to: next.index + 1, isWhole: true }];
    return [{ from: index, to: endOfRemains(lines, index + 1, names), isWhole: false }];
  });
}

/** Where the lines that set one of `names` end. */
function endOfRemains(lines: readonly string[], from: number, names: ReadonlySet<string>): number {
  let to = from;
  while (names.has(/^(\w+)=/.exec(lines[to] ?? '')?.[1] ?? '')) to++;
  return to;
}

/** The line end that the text uses; a lone CR counts only where there is nothing else. */
const lineEndOf = (text: string): string | undefined => (/\r?\n/.exec(text) ?? /\r/.exec(text))?.[0];

const namesSetIn = (text: string): string[] => Object.keys(parseDotenv(Buffer.from(text, 'latin1')));

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Means itself, unquoted, to dotenv, python-dotenv, Vite, Next, docker compose and a POSIX shell. */
const PLAIN = /^[A-Za-z0-9_./:@%+,=-]*$/;
/**
 * Cannot be written so that all of them agree. `$` is expanded by Vite, Next and python-dotenv whatever the quotes,
 * and escaped differently by each; a backslash is an escape to some within quotes; control characters, line
 * separators and halves of surrogate pairs do not survive one reader or the other.
 */
const UNSAFE = /[$\\\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u;

function assignment(name: string, value: string): string {
  if (!NAME.test(name)) {
    throw new UserError(
      `${JSON.stringify(name)} cannot be published: a variable's name has letters, digits and _ only. Correct helix.publish.names.`,
    );
  }
  return `${name}=${Buffer.from(quoted(name, value), 'utf8').toString('latin1')}`;
}

function quoted(name: string, value: string): string {
  if (PLAIN.test(value)) return value;
  if (!UNSAFE.test(value)) {
    if (!value.includes("'")) return `'${value}'`;
    if (!/["`]/.test(value)) return `"${value}"`;
  }
  throw new UserError(
    `${name} cannot be published: its value has a line break, a control character, "$", a backslash or both kinds of quotes, ` +
      'which the readers of env files understand differently. Correct helix.publish.names.',
  );
}
