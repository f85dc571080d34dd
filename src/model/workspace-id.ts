import { createHash } from 'node:crypto';
import { WORKSPACE_ID_LENGTH, workspacePath } from './endpoints.ts';

/**
 * A short name for a workspace that can be given to pages: the first digits of the SHA-256 of its real path. Nothing
 * else goes into it, so that a page that was opened as a file can make the ids of the folders above it.
 */
export const workspaceId = (folder: string): string =>
  createHash('sha256').update(workspacePath(folder)).digest('hex').slice(0, WORKSPACE_ID_LENGTH);
