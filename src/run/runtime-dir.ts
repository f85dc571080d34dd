import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { homedir, hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { messageOf, UserError } from '../base/errors.ts';

/** `sun_path` holds 104 bytes on macOS and 108 on Linux, its final NUL included. */
const MAX_SOCKET_PATH = 103;
/** The longest name that we put into a stack's folder: a 31-letter service id and a claim's suffix. */
const LONGEST_NAME = '/'.length + 31 + '.12345678.sock'.length;

/**
 * The folder of everything that must outlive a process: one subfolder per workspace, mode 0700.
 *
 * It hangs off the home folder rather than `XDG_RUNTIME_DIR`, because the editor, a shell over SSH and a cron job
 * of one user must find the same one, and it must survive the last logout.
 * `HELIX_PORTS_HOME` moves it (tests, unusual homes).
 */
export function stateHome(env: NodeJS.ProcessEnv = process.env): string {
  if (env['HELIX_PORTS_HOME']) return resolve(env['HELIX_PORTS_HOME']);
  if (process.platform === 'win32') return join(env['LOCALAPPDATA'] ?? homedir(), 'helix-ports');
  return join(homedir(), '.local', 'state', 'helix-ports');
}

/** The real path that identifies a workspace folder: each git worktree is its own stack. */
export function realWorkspace(folder: string): string {
  try {
    return realpathSync.native(folder);
  } catch (cause) {
    throw new UserError(`The folder ${folder} cannot be read. Check that it exists.`, { cause });
  }
}

/** A short name for a workspace on this machine; the host's name is in it because homes are shared over networks. */
export const stackKey = (workspace: string): string =>
  createHash('sha256').update(`${hostname()}\0${workspace}`).digest('hex').slice(0, 12);

/** The workspace's own folder, made if need be, private to the user. */
export function stackDir(workspace: string, env: NodeJS.ProcessEnv = process.env): string {
  const preferred = join(stateHome(env), stackKey(workspace));
  const tooLong = process.platform !== 'win32' && Buffer.byteLength(preferred) + LONGEST_NAME > MAX_SOCKET_PATH;
  if (!tooLong) return privateDir(preferred);
  // In a folder that everybody may write to, the one between has to be ours as well.
  return privateDir(join(privateDir(join(tmpdir(), `helix-ports-${process.getuid?.() ?? 0}`)), stackKey(workspace)));
}

function privateDir(dir: string): string {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const reason = messageOf(cause);
    throw new UserError(`The folder ${dir} cannot be made: ${reason}. Set HELIX_PORTS_HOME to a folder of your own.`, {
      cause,
    });
  }
  assertPrivate(dir);
  return dir;
}

function assertPrivate(dir: string): void {
  if (process.platform === 'win32') return;
  const stat = lstatSync(dir);
  if (!stat.isDirectory() || stat.uid !== process.getuid!()) {
    throw new UserError(`The folder ${dir} belongs to somebody else. Remove it, or set HELIX_PORTS_HOME to your own.`);
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(dir, 0o700);
}
