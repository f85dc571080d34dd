import { rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { codeOf, messageOf, UserError } from '../base/errors.ts';

/**
 * Replaces a small file of the stack's folder in one step, for its user alone. Not synced: after a power failure it may
 * be missing, which is harmless. A folder in its place gives way: what is ours to keep there is only this file.
 * @throws {UserError} that names the file, the reason and the next step; then it is as it was
 */
export async function writeStateFile(path: string, text: string, onHalfWritten?: () => void): Promise<void> {
  const write = (): Promise<unknown> =>
    writeFileAtomic(path, text, {
      mode: 0o600,
      fsync: false,
      ...(onHalfWritten && { tmpfileCreated: onHalfWritten }),
    });
  try {
    await write().catch(async (error: unknown) => {
      if (!(await isFolder(path))) throw error;
      await rm(path, { recursive: true, force: true });
      await write();
    });
  } catch (cause) {
    throw new UserError(`${path} cannot be written: ${messageOf(cause)}. ${nextStep(path, cause)}`, { cause });
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    found => found.isDirectory(),
    () => false,
  );

const nextStep = (path: string, cause: unknown): string =>
  ['ENOSPC', 'EDQUOT'].includes(codeOf(cause) ?? '')
    ? 'Make room on that disk.'
    : `Make ${dirname(path)} writable, or set HELIX_PORTS_HOME to a folder of your own.`;
