import { createScanner, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { ConfigPath, ConfigProblems } from './problem.ts';

/** Far more than a configuration needs, and far less than would overflow the parser's stack. */
const MAX_DEPTH = 64;

/** The tree of a file that is JSON, with comments and trailing commas; undefined once a problem is told. */
export function parseSyntax(content: string, problems: ConfigProblems): Node | undefined {
  if (content.trim() === '') {
    problems.atRange(0, 0, [], 'The file is empty; it needs { "services": { … } }.');
    return undefined;
  }
  const tooDeep = depthExceededAt(content);
  if (tooDeep !== undefined) {
    problems.atRange(tooDeep, 1, [], `Nested more than ${MAX_DEPTH} levels deep.`);
    return undefined;
  }
  const errors: ParseError[] = [];
  const root = parseTree(content, errors, { allowTrailingComma: true });
  for (const { error, offset, length } of firstOfEachPlace(errors)) {
    problems.atRange(offset, length, [], `Not valid JSON: ${wordsOf(printParseErrorCode(error))}.`);
  }
  return errors.length === 0 ? root : undefined;
}

/** What follows from the first, such as every brace that the end of the file leaves open, helps nobody. */
const firstOfEachPlace = (errors: readonly ParseError[]): ParseError[] => [
  ...new Map([...errors].reverse().map(error => [error.offset, error])).values(),
];

/** `CommaExpected` -> `comma expected`. */
const wordsOf = (code: string): string => code.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase();

/** The parser is recursive; the scanner is not. */
function depthExceededAt(content: string): number | undefined {
  const scanner = createScanner(content, true);
  let depth = 0;
  for (scanner.scan(); scanner.getTokenOffset() < content.length; scanner.scan()) {
    const opening = content[scanner.getTokenOffset()]!;
    if ('{['.includes(opening)) depth++;
    if (']}'.includes(opening)) depth--;
    if (depth > MAX_DEPTH) return scanner.getTokenOffset();
  }
  return undefined;
}

/** JSON takes the last of two equal keys; whoever wrote both meant something else. */
export function checkKeys(node: Node, problems: ConfigProblems, at: ConfigPath = []): void {
  const seen = new Set<string>();
  for (const [index, child] of (node.children ?? []).entries()) {
    const [key, value] = node.type === 'object' ? (child.children ?? []) : [undefined, child];
    const name = key ? String(key.value) : index;
    if (key && seen.has(String(name))) problems.atNode(key, [...at, name], `"${name}" is there twice.`);
    // Skipped in silence by the schema, because of what it means to JavaScript.
    if (key && name === '__proto__') problems.atNode(key, [...at, name], '"__proto__" cannot be a name here.');
    seen.add(String(name));
    if (value) checkKeys(value, problems, [...at, name]);
  }
}
