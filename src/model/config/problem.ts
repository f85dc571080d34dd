import { findNodeAtLocation, type Node } from 'jsonc-parser';
import type { Variable } from '../variables.ts';
import type { HelixConfig } from './schema.ts';

/** Where something stands in the configuration, by its keys. */
export type ConfigPath = readonly (string | number)[];

/** Line and column from 1, offset and length in UTF-16 units, a byte order mark not counted: as editors count. */
export interface ConfigProblem {
  /** `form`: what the JSON schema tells as well. `meaning`: what one part means for another, a key that is there twice. */
  readonly kind: 'form' | 'meaning';
  readonly message: string;
  readonly path: ConfigPath;
  readonly line: number;
  readonly column: number;
  readonly offset: number;
  readonly length: number;
}

export type ParsedConfig =
  | { readonly ok: true; readonly config: HelixConfig }
  | { readonly ok: false; readonly problems: readonly [ConfigProblem, ...ConfigProblem[]] };

/** A file that is no configuration at all has a problem in every line. */
const MAX_PROBLEMS = 100;

/** Problems on their way to a list in the file's order. */
export class ConfigProblems {
  root: Node | undefined;
  /** What the problems that are told now are of. */
  kind: ConfigProblem['kind'] = 'form';
  private readonly found: ConfigProblem[] = [];

  constructor(private readonly content: string) {}

  get isEmpty(): boolean {
    return this.found.length === 0;
  }

  get isFull(): boolean {
    return this.found.length >= MAX_PROBLEMS;
  }

  /** At the value, or where that is missing at the key of what it is missing from. */
  atValue(at: ConfigPath, message: string): void {
    const node = this.root && findNodeAtLocation(this.root, [...at]);
    if (node) this.atNode(node, at, message);
    else this.atKey(at.slice(0, -1), message, at);
  }

  /** At the last key of the path. */
  atKey(at: ConfigPath, message: string, path = at): void {
    const node = this.root && findNodeAtLocation(this.root, [...at]);
    const key = node?.parent?.type === 'property' ? node.parent.children?.[0] : undefined;
    if (key) this.atNode(key, path, message);
    else if (at.length > 0) this.atKey(at.slice(0, -1), message, path);
    // The file itself: its first brace, rather than all of it.
    else this.atRange(this.root?.offset ?? 0, 1, path, message);
  }

  /** At a variable within a string, where its place can be told: an escape in the string shifts what follows. */
  atVariable(at: ConfigPath, variable: Variable, message: string): void {
    const node = this.root && findNodeAtLocation(this.root, [...at]);
    if (!node || this.content.slice(node.offset, node.offset + node.length).includes('\\')) this.atValue(at, message);
    else this.atRange(node.offset + 1 + variable.offset, variable.text.length, at, message);
  }

  atNode(node: Node, at: ConfigPath, message: string): void {
    this.atRange(node.offset, node.length, at, message);
  }

  atRange(start: number, extent: number, at: ConfigPath, message: string): void {
    if (this.isFull) return;
    // The parser places what is missing after the end a little behind it.
    const offset = Math.min(start, this.content.length);
    const length = Math.min(extent, this.content.length - offset);
    const before = this.content.slice(0, offset).split(/\r\n|\n|\r/);
    const place = { line: before.length, column: before.at(-1)!.length + 1, offset, length };
    this.found.push({ kind: this.kind, message, path: at, ...place });
  }

  refuse(): ParsedConfig {
    const [first, ...rest] = this.found.sort((a, b) => a.offset - b.offset);
    if (!first) throw new Error('A configuration was refused without a reason');
    return { ok: false, problems: [first, ...rest] };
  }
}
