import { statfs } from 'node:fs/promises';
import { UserError } from '../base/errors.ts';

/** Of its write-ahead log PostgreSQL makes one segment at a time, and cannot start without room for one. */
const SEGMENT_BYTES = 16 << 20;

/**
 * What a server that ended by itself says in its own words, in ours: whoever reads its last lines must not have to
 * guess. Undefined when there is room.
 */
export async function fullDisk(dataDir: string): Promise<UserError | undefined> {
  const disk = await statfs(dataDir).catch(() => undefined);
  if (!disk || disk.bavail * disk.bsize >= SEGMENT_BYTES) return undefined;
  const left = Math.floor((disk.bavail * disk.bsize) / (1 << 20));
  return new UserError(
    `The disk is full: PostgreSQL ended, and ${left} MB are left for its data in ${dataDir}. Free some space, and start it again; the data is kept.`,
  );
}
