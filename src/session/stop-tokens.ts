import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import type { ServiceId } from '../model/service.ts';

/**
 * How a stop is told to starts that are under way in other processes. A stop renews the token *before* it looks at
 * what runs, a start compares it *after* it has started something: one of the two always sees the other.
 */
export class StopTokens {
  constructor(private readonly dir: string) {}

  /** Tells that everything, or these services, were stopped now. */
  async renew(only: readonly ServiceId[] | undefined): Promise<void> {
    const files = only ? only.map(id => this.file(id)) : [this.file()];
    await Promise.all(files.map(write));
  }

  /** Changes whenever everything is stopped, or this service. */
  async read(id?: ServiceId): Promise<string> {
    const files = id === undefined ? [this.file()] : [this.file(), this.file(id)];
    return (await Promise.all(files.map(readIfThere))).join();
  }

  /** A service id has no dot, so that no service's files can be taken for these. */
  private file(id?: ServiceId): string {
    return join(this.dir, id === undefined ? '.stopped' : `.stopped.${id}`);
  }
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'EISDIR'].includes(codeOf(error) ?? '')) return '';
    throw error;
  }
}

/**
 * On a full or read-only disk the stop goes on without it. That the token is gone is told as well as a new one, and
 * a start that sees neither is waited for by the stop, which then looks once more.
 */
async function write(file: string): Promise<void> {
  const put = (): Promise<void> => writeFile(file, randomUUID(), { mode: 0o600 });
  await put()
    // What is ours to keep at this place is only the token.
    .catch(() => rm(file, { recursive: true, force: true }).then(put))
    .catch(() => undefined);
}
