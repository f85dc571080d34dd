import { createHash } from 'node:crypto';

/** Hexadecimal digits: 2^48 ids, so two workspaces of one machine never share one by chance. */
export const WORKSPACE_ID_LENGTH = 12;

/** The folder's real path as ids are made of it: `/home/me/helix`, `c:/Users/Me/helix`. */
export const workspacePath = (folder: string): string =>
  folder.replaceAll('\\', '/').replace(/^[A-Z]:/, drive => drive.toLowerCase());

/**
 * A short name for a workspace that can be given to pages: the first digits of the SHA-256 of its real path. Nothing
 * else goes into it, so that a page that was opened as a file can make the ids of the folders above it.
 */
export const workspaceId = (folder: string): string =>
  createHash('sha256').update(workspacePath(folder)).digest('hex').slice(0, WORKSPACE_ID_LENGTH);
