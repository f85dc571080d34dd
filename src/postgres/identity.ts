import { lstat, readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Whose name initdb and the server run under, where it is not our own: PostgreSQL refuses root. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** The user to drop to when we are root: `postgres` where it exists, else `nobody`. */
export async function dropIdentity(uid = process.getuid?.()): Promise<Identity | undefined> {
  if (uid !== 0) return undefined;
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const users = passwd.split('\n').map(line => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const user = users.find(fields => fields[0] === name);
    if (user) return { uid: Number(user[2]), gid: Number(user[3]), name };
  }
  return { uid: 65_534, gid: 65_534, name: 'nobody' };
}

/** Whether the identity may pass through every existing folder on the way to `path`, and read `path` itself. */
export async function canReach(identity: Identity, path: string): Promise<boolean> {
  for (let current = resolve(path), first = true; ; current = dirname(current), first = false) {
    const info = await stat(current).catch(() => undefined);
    if (info) {
      const shift = info.uid === identity.uid ? 6 : info.gid === identity.gid ? 3 : 0;
      // A folder on the way is passed, the last one is listed, a file is read, and run where anyone may run it.
      const runnable = (info.mode & 0o111) !== 0 ? 1 : 0;
      const needed = info.isDirectory() && !first ? 1 : 4 | runnable;
      if (((info.mode >> shift) & needed) !== needed) return false;
    } else if (await isBrokenLink(current)) return false;
    if (dirname(current) === current) return true;
  }
}

const isBrokenLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    info => info.isSymbolicLink(),
    () => false,
  );
