import { readFile } from 'node:fs/promises';
import { codeOf } from '../base/errors.ts';

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/**
 * What tells this process from a later one with the same pid: when it started, in whatever form the system has it.
 * Undefined when there is no such process (or, on Windows, no cheap way to know).
 */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    // The command in parentheses may hold spaces; the start time is the 20th field after it.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields?.[0] === 'Z' ? undefined : fields?.[19];
  }
  return (await ps(pid, 'lstart=')) || undefined;
}

/** The program's name, such as `postgres`; undefined when it cannot be known. */
export async function programOf(pid: number): Promise<string | undefined> {
  // Not with `ps` on Linux: slim images lack it.
  const name =
    process.platform === 'linux'
      ? (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => undefined))?.trim()
      : await ps(pid, 'comm=');
  return name?.split('/').at(-1) || undefined;
}

async function ps(pid: number, field: string): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined;
  try {
    const { execa } = await import('execa');
    const { stdout } = await execa('ps', ['-o', field, '-p', String(pid)], {
      env: { LC_ALL: 'C' },
      stdin: 'ignore',
      timeout: 5000,
    });
    return stdout.trim();
  } catch {
    return undefined;
  }
}
