import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { access, constants, lstat, open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { delay } from '../base/async.ts';
import { codeOf, messageOf, UserError } from '../base/errors.ts';
import { faultPoint } from '../base/fault.ts';
import { applyBlock, readBlock } from './env-block.ts';

export interface EnvFileResult {
  readonly changed: boolean;
  /** Names that the user sets outside the block as well. */
  readonly shadowed: readonly string[];
}

const MAX_TRIES = 10;
/** What follows the file's name in the name of the one that is written beside it. */
const TEMPORARY = /^\d+-[0-9a-f]{8}\.tmp$/;
/** No writer takes that long; one in another container cannot be told by its pid. */
const HALF_WRITTEN_MS = 60_000;
/** For a new file; the user's umask makes it more private. */
const NEW_FILE_MODE = 0o644;

/**
 * Makes the block of `file` say exactly `values`; no file is made just to say nothing. Only a difference is written:
 * beside the file, then renamed over it, with its mode and owner. Of a link the target is written and the link stays.
 * When somebody else changes the file between our reading and renaming, we start over from what it is then.
 * @throws {UserError} that names the file, the reason and the next step; then nothing was changed
 */
export async function writeEnvBlock(file: string, values: ReadonlyMap<string, string>): Promise<EnvFileResult> {
  for (let attempt = 1; attempt <= MAX_TRIES; attempt++) {
    const seen = await look(file);
    const { content, shadowed } = applyBlock(seen.content, values);
    if (content.equals(seen.content ?? Buffer.alloc(0))) return { changed: false, shadowed };
    if (await replace(file, seen, content)) return { changed: true, shadowed };
  }
  throw new UserError(
    `${file} could not be updated: another program keeps changing it. Find out which, and try again.`,
  );
}

/**
 * Whether `writeEnvBlock` would have nothing to do.
 * @throws {UserError} when the file cannot be read
 */
export async function envBlockSays(file: string, values: ReadonlyMap<string, string>): Promise<boolean> {
  const { content } = await look(file);
  return applyBlock(content, values).content.equals(content ?? Buffer.alloc(0));
}

/**
 * What the block of `file` says; undefined when there is no file or no block in it.
 * @throws {UserError} when the file is there and cannot be read
 */
export async function readEnvBlock(file: string): Promise<ReadonlyMap<string, string> | undefined> {
  const { content } = await look(file);
  return content && readBlock(content);
}

/** The file at one moment. Without `content` there is none. */
interface Seen {
  /** The file itself, or what a link leads to. */
  readonly target: string;
  readonly content?: Buffer;
  readonly info?: Stats;
}

async function look(file: string): Promise<Seen> {
  try {
    const target = await targetOf(file);
    const info = await statOf(target);
    if (!info) return { target };
    // Looked at before it is read: opening a named pipe would wait for a writer.
    if (!info.isFile()) throw refusal(file, info.isDirectory() ? 'it is a folder' : 'it is not a regular file');
    const content = await readFile(target);
    if (isUtf16(content))
      throw refusal(file, 'it is UTF-16, which readers of env files do not understand', 'Save it as UTF-8');
    return { target, content, info };
  } catch (error) {
    throw asUserError(file, error);
  }
}

async function targetOf(file: string): Promise<string> {
  const link = await lstat(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (!link?.isSymbolicLink()) return file;
  try {
    return await realpath(file);
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') throw cause;
    throw refusal(file, 'it is a link to a file that does not exist', 'Create that file or remove the link', cause);
  }
}

const statOf = (target: string): Promise<Stats | undefined> =>
  stat(target).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });

const isUtf16 = (content: Buffer): boolean =>
  content.length >= 2 && ['fffe', 'feff'].includes(content.subarray(0, 2).toString('hex'));

/**
 * Answers false, and leaves everything as it is, when the file is not as it was seen.
 *
 * Not with write-file-atomic: it takes a short write for a whole one and renames the rest of a file over the file
 * when the disk fills up (seen with 7.0.1), and it has no place for the second look.
 */
async function replace(file: string, seen: Seen, content: Buffer): Promise<boolean> {
  const temporary = `${seen.target}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await assertWritable(file, seen);
    await write(temporary, content, seen.info);
    faultPoint('envFile.halfWritten');
    if (!isUnchanged(seen, await look(file))) return false;
    await renameOver(temporary, seen.target);
    await removeHalfWritten(seen.target);
    return true;
  } catch (error) {
    throw asUserError(file, error);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Renaming over a file needs no permission on it, but somebody who made it read-only meant it. */
async function assertWritable(file: string, { target, info }: Seen): Promise<void> {
  if (!info) return;
  const writable =
    (info.mode & 0o222) !== 0 &&
    (await access(target, constants.W_OK).then(
      () => true,
      () => false,
    ));
  if (!writable) throw refusal(file, 'it is read-only', 'Make it writable');
}

async function write(path: string, content: Buffer, like: Stats | undefined): Promise<void> {
  const handle = await open(path, 'wx', like ? 0o600 : NEW_FILE_MODE);
  try {
    await handle.writeFile(content);
    if (like) {
      // Before the mode, because a change of owner may take bits from it. Only root may give a file away.
      await handle.chown(like.uid, like.gid).catch((error: unknown) => {
        if (codeOf(error) !== 'EPERM' || process.getuid?.() === 0) throw error;
      });
      await handle.chmod(like.mode & 0o7777);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what processes that were killed while they wrote have left beside the file. */
async function removeHalfWritten(target: string): Promise<void> {
  const prefix = `${basename(target)}.`;
  for (const name of await readdir(dirname(target)).catch(() => [])) {
    if (!name.startsWith(prefix) || !TEMPORARY.test(name.slice(prefix.length))) continue;
    const path = join(dirname(target), name);
    const info = await statOf(path).catch(() => undefined);
    if (info && info.mtimeMs < Date.now() - HALF_WRITTEN_MS) await rm(path, { force: true }).catch(() => undefined);
  }
}

const isUnchanged = (before: Seen, now: Seen): boolean =>
  before.target === now.target &&
  before.info?.ino === now.info?.ino &&
  (before.content === now.content || (before.content?.equals(now.content ?? Buffer.alloc(0)) ?? false));

/** Windows refuses to replace a file while another program reads it, which takes a moment. */
async function renameOver(temporary: string, target: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rename(temporary, target);
    } catch (error) {
      const isBusy = ['EPERM', 'EACCES', 'EBUSY'].includes(codeOf(error) ?? '');
      if (process.platform !== 'win32' || !isBusy || attempt === MAX_TRIES) throw error;
      await delay(20 * attempt);
    }
  }
}

function asUserError(file: string, error: unknown): UserError {
  if (error instanceof UserError) return error;
  const folder = dirname(file);
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return refusal(file, `it or its folder ${folder} may not be changed by you`, 'Give yourself permission', error);
    case 'EROFS':
      return refusal(file, 'its file system is read-only', undefined, error);
    case 'ENOENT':
    case 'ENOTDIR':
      return refusal(file, `the folder ${folder} does not exist`, 'Create it', error);
    case 'ELOOP':
      return refusal(file, 'it is a link that leads back to itself', 'Remove the link', error);
    case 'ENOSPC':
    case 'EDQUOT':
      return refusal(file, 'there is no space left on the disk', 'Make room', error);
    default:
      return refusal(file, messageOf(error), undefined, error);
  }
}

const ELSEWHERE = 'set helix.publish.envFile to another file';

function refusal(file: string, reason: string, step?: string, cause?: unknown): UserError {
  const next = step === undefined ? `${ELSEWHERE[0]!.toUpperCase()}${ELSEWHERE.slice(1)}` : `${step}, or ${ELSEWHERE}`;
  return new UserError(`${file} cannot be used for publishing: ${reason}. ${next}. Nothing was changed.`, { cause });
}
