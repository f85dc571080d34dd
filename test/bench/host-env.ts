/** What programs in an extension host are told, through its environment. */
export interface HostEnv {
  /** The extension's id. */
  readonly HELIX_BENCH_EXTENSION: string;
  /** Results are appended to this file, a line of JSON each. */
  readonly HELIX_BENCH_RESULTS: string;
  /** A demo HELIX, for a window whose folder is empty. */
  readonly HELIX_BENCH_DEMO: string;
  /** A file that holds, by the time it is needed, a `HandDemo` as JSON. */
  readonly HELIX_BENCH_HAND?: string;
}

/** A file of this name in the window's folder: the program waits until the window has settled. */
export const SETTLE_FIRST = 'settle-first';
/** That long, in milliseconds. */
export const SETTLE_MS = 4_000;
/** A file of this name in the window's folder: the empty extension is activated before ours and not after it. */
export const EMPTY_FIRST = 'empty-first';
/** An extension whose `activate` does nothing. */
export const EMPTY_EXTENSION = { publisher: 'helix-bench', name: 'empty' } as const;

export interface ActivationTimes {
  readonly settled: boolean;
  /** The same of an extension that does nothing: what VS Code itself takes in that window. */
  readonly emptyMs: number;
  /** Until `activate()` has returned: what VS Code waits for. */
  readonly activeMs: number;
  /** Until the folders have been read and what runs in them was found. */
  readonly readyMs: number;
}

/** The demo's configuration while the window is to see no HELIX, so that the program says when the extension begins. */
export const HIDDEN_CONFIG = 'hidden.json';

/** What an extension host that found running services tells, times in milliseconds. */
export interface FoundTimes {
  readonly settled: boolean;
  /** When the extension was activated, since the epoch; the others count from there. */
  readonly beganAt: number;
  readonly foundMs: number;
  readonly publishedMs: number;
  readonly services: readonly { readonly id: string; readonly pid: number | null; readonly port: number | null }[];
}

/** The file beside the results with what is to be done meanwhile, a word a line: `start` or `hand`, and `end` at last. */
export const ordersFile = (results: string): string => `${results}.orders`;
