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

  /** Tells that everything, or these services, were stopped; the stop was asked for at that time (ms since the epoch). */
  async renew(only: readonly ServiceId[] | undefined, askedAt = Date.now()): Promise<void> {
    const files = only ? only.map(id => this.file(id)) : [this.file()];
    await Promise.all(files.map(file => write(file, `${askedAt} ${randomUUID()}`)));
  }

  /** Changes whenever everything is stopped, or this service. */
  async read(id?: ServiceId): Promise<string> {
    const files = id === undefined ? [this.file()] : [this.file(), this.file(id)];
    return (await Promise.all(files.map(readIfThere))).join();
  }

  /**
   * As it was when a start was asked for at `askedAt`, although that may have taken its time to look: with a stop that
   * was asked for since then it is none that `read` answers, and the start sees that it was stopped.
   */
  async readAsOf(askedAt: number, id?: ServiceId): Promise<string> {
    const token = await this.read(id);
    return token.split(',').some(one => isLater(one, askedAt)) ? STOPPED_SINCE : token;
  }

  /** A service id has no dot, so that no service's files can be taken for these. */
  private file(id?: ServiceId): string {
    return join(this.dir, id === undefined ? '.stopped' : `.stopped.${id}`);
  }
}

const STOPPED_SINCE = 'stopped since';

/** Also later than now are the stops before the clock was set back, which mean nothing any more. */
function isLater(token: string, askedAt: number): boolean {
  const stoppedAt = Number.parseFloat(token);
  return stoppedAt > askedAt && stoppedAt <= Date.now();
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
async function write(file: string, token: string): Promise<void> {
  const put = (): Promise<void> => writeFile(file, token, { mode: 0o600 });
  await put()
    // What is ours to keep at this place is only the token.
    .catch(() => rm(file, { recursive: true, force: true }).then(put))
    .catch(() => undefined);
}
