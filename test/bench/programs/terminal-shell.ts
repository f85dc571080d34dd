import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { Shell, Typed } from '../by-hand.ts';

const LOOK_MS = 20;
const CTRL_C = '\x03';

/** An integrated terminal with the user's shell for each process, as somebody opens and uses them. */
export async function terminalShell(): Promise<Shell> {
  const notes = await mkdtemp(join(tmpdir(), 'helix-bench-typed-'));
  return typed => {
    const [pidFile, output] = [join(notes, `${typed.name}.pid`), join(notes, `${typed.name}.log`)];
    const terminal = vscode.window.createTerminal({ name: typed.name, cwd: typed.cwd, env: { ...typed.env } });
    terminal.show(true);
    terminal.sendText(lineOf(typed, pidFile, output));
    const pid = async (): Promise<number> => Number(await readFile(pidFile, 'utf8').catch(() => ''));
    return Promise.resolve({
      said: () => readFile(output, 'utf8').catch(() => ''),
      // The terminal stays, and shows what went wrong.
      hasEnded: () => terminal.exitStatus !== undefined,
      end: async () => {
        terminal.sendText(CTRL_C, false);
        const one = await pid();
        while (one > 0 && isAlive(one)) await sleep(LOOK_MS);
        terminal.dispose();
      },
    });
  };
}

/** Its output is seen in the terminal, and read by us. */
function lineOf({ file, args, identity }: Typed, pidFile: string, output: string): string {
  const as = identity ? ['setpriv', `--reuid=${identity.uid}`, `--regid=${identity.gid}`, '--clear-groups'] : [];
  const command = [...as, file, ...args].map(quoted).join(' ');
  return `sh -c 'echo $$ > ${pidFile}; exec "$@"' sh ${command} 2>&1 | tee ${output}`;
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
