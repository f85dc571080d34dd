import type { StackSnapshot } from '../model/service.ts';

/** What other extensions get from this one's `exports`. */
export interface HelixApi {
  /** Settles once the folders have been read and what runs in them was found. */
  readonly ready: Promise<void>;
  /** The stacks as they are now, in the order of the folders. */
  stacks(): readonly StackSnapshot[];
}
