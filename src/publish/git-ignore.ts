import { execFile } from 'node:child_process';
import { appendFile, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { codeOf, messageOf, UserError } from '../base/errors.ts';

const run = promisify(execFile);

/** `unknown`: there is no git, or it cannot say. */
export type GitState = 'ignored' | 'notIgnored' | 'tracked' | 'noRepository' | 'unknown';

/** What git does with a file, which need not exist yet. */
export async function gitStateOf(file: string): Promise<GitState> {
  const inside = await git(file, ['rev-parse', '--is-inside-work-tree']);
  if (inside === undefined) return 'unknown';
  if (inside !== 0) return 'noRepository';
  // A file that is committed stays so, whatever .gitignore says.
  if ((await git(file, ['ls-files', '--error-unmatch', '--', basename(file)])) === 0) return 'tracked';
  const ignored = await git(file, ['check-ignore', '-q', '--', basename(file)]);
  return ignored === 0 ? 'ignored' : ignored === 1 ? 'notIgnored' : 'unknown';
}

/** The exit code, or undefined where git cannot be run. */
async function git(file: string, args: readonly string[]): Promise<number | undefined> {
  try {
    await run('git', ['-C', dirname(file), ...args], { windowsHide: true, timeout: 10_000 });
    return 0;
  } catch (error) {
    const { code } = error as { code?: unknown };
    return typeof code === 'number' ? code : undefined;
  }
}

/**
 * Adds the file to the `.gitignore` beside it, in that file's own line ends; what stands there stays.
 * @throws {UserError} when that cannot be written
 */
export async function addToGitignore(file: string): Promise<void> {
  const ignore = join(dirname(file), '.gitignore');
  try {
    const text = await readFile(ignore, 'utf8').catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return '';
      throw error;
    });
    const line = `/${basename(file)}`;
    if (text.split(/\r?\n/).some(one => one.trim() === line)) return;
    const end = text.includes('\r\n') ? '\r\n' : '\n';
    const gap = text === '' || /\n$/.test(text) ? '' : end;
    await appendFile(ignore, `${gap}${line}${end}`);
  } catch (cause) {
    throw new UserError(`${ignore} cannot be written: ${messageOf(cause)}. Add ${basename(file)} to it yourself.`, {
      cause,
    });
  }
}
