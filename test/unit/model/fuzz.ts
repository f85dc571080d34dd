import fc from 'fast-check';

/** What JSON and its comments are made of. */
export const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '"a"',
  '//',
  '/*',
  '*/',
  '\n',
  '\r',
  '1',
  'true',
  '\\',
] as const;

/** At a part of the text's length some characters are replaced by others. */
export interface Edit {
  readonly at: number;
  readonly removed: number;
  readonly added: string;
}

/** What an edit adds to a configuration. */
const added = fc.oneof(
  fc.constantFrom(...PIECES, '', '-', '${', 'null', '"x": ', '\ufeff', '\0', '\u2028', '\r\n'),
  fc.string({ unit: 'binary', maxLength: 6 }),
);

export const edits: fc.Arbitrary<readonly Edit[]> = editsWith(added);

export function editsWith(texts: fc.Arbitrary<string>): fc.Arbitrary<readonly Edit[]> {
  const at = fc.double({ min: 0, max: 1, noNaN: true });
  return fc.array(fc.record({ at, removed: fc.nat({ max: 12 }), added: texts }), { minLength: 1, maxLength: 5 });
}

export function damaged(text: string, changes: readonly Edit[]): string {
  return changes.reduce((before, { at, removed, added: more }) => {
    const offset = Math.floor(at * before.length);
    return before.slice(0, offset) + more + before.slice(offset + removed);
  }, text);
}
