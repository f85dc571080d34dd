import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { gitStateOf } from '../publish/git-ignore.ts';

/** Kept in the stack's folder: what is said once is said once, whichever client says it. */
const TOLD = '.ignore-told';

/**
 * What to tell the user about the published file, the first time it is written where git would take it along.
 * Undefined when there is nothing to say, or it was said before.
 */
export async function ignoreAdvice(dir: string, envFile: string | undefined): Promise<string | undefined> {
  if (envFile === undefined || (await gitStateOf(envFile)) !== 'notIgnored') return undefined;
  try {
    await writeFile(join(dir, TOLD), '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    // Where it cannot be kept (a full disk), it is said again.
    if (codeOf(error) === 'EEXIST') return undefined;
  }
  return `${basename(envFile)} is not ignored by git, and holds addresses that are true on this machine only.`;
}
