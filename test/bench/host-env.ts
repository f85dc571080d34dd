/** What programs in an extension host are told, through its environment. */
export interface HostEnv {
  /** The extension's id. */
  readonly HELIX_BENCH_EXTENSION: string;
  /** Results are appended to this file, a line of JSON each. */
  readonly HELIX_BENCH_RESULTS: string;
  /** A demo HELIX, for a window whose folder is empty. */
  readonly HELIX_BENCH_DEMO: string;
}

/** A file of this name in the window's folder: the program waits until the window has settled. */
export const SETTLE_FIRST = 'settle-first';

export interface ActivationTimes {
  readonly settled: boolean;
  /** Until `activate()` has returned: what VS Code waits for. */
  readonly activeMs: number;
  /** Until the folders have been read and what runs in them was found. */
  readonly readyMs: number;
}

/** The file beside the results with what is to be done meanwhile, a word a line: `start`, and `end` at last. */
export const ordersFile = (results: string): string => `${results}.orders`;
