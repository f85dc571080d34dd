import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';

const run = promisify(execFile);

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  /** Together with the pid it names one process: a pid alone may be given to another one later. */
  readonly started: string;
  readonly command: string;
}

/** `pid` and everything below it, parents first. Empty on Windows, where `taskkill /T` knows the tree itself. */
export async function processTree(pid: number): Promise<ProcessInfo[]> {
  if (process.platform === 'win32') return [];
  const all = await listProcesses();
  const tree = all.filter(one => one.pid === pid);
  for (const parent of tree) tree.push(...all.filter(one => one.parent === parent.pid));
  return tree;
}

/**
 * Ends a tree that we started: asks the root to go, waits, then ends by force what is left of the tree as it was when
 * asked. Returns what had to be forced, so that a test can hold it against whoever left it behind.
 */
export async function endTree(pid: number, patience = 10_000): Promise<ProcessInfo[]> {
  if (process.platform === 'win32') {
    await run('taskkill', ['/pid', String(pid), '/T', '/F']).catch(() => undefined);
    return [];
  }
  const tree = await processTree(pid);
  signal(pid, 'SIGTERM');
  const left = await waitUntilGone(tree, patience);
  for (const one of left) signal(one.pid, 'SIGKILL');
  await waitUntilGone(left, patience);
  return left;
}

async function waitUntilGone(tree: readonly ProcessInfo[], patience: number): Promise<ProcessInfo[]> {
  const deadline = Date.now() + patience;
  for (;;) {
    const alive = await listProcesses();
    const left = tree.filter(one => alive.some(other => other.pid === one.pid && other.started === one.started));
    if (!left.length || Date.now() > deadline) return left;
    await sleep(100);
  }
}

/** Zombies are left out: they are gone but for their parent asking about them. */
async function listProcesses(): Promise<ProcessInfo[]> {
  if (process.platform === 'linux') return listProc();
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,stat=,lstart=,command='], { maxBuffer: 1 << 26 });
  return stdout.split('\n').flatMap(line => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.{24})\s+(.*)$/.exec(line);
    if (!match || match[3]?.startsWith('Z')) return [];
    return [{ pid: Number(match[1]), parent: Number(match[2]), started: match[4] ?? '', command: match[5] ?? '' }];
  });
}

// From /proc, because slim Linux images have no `ps`.
async function listProc(): Promise<ProcessInfo[]> {
  const { readdir, readFile } = await import('node:fs/promises');
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid): Promise<ProcessInfo | undefined> => {
      try {
        const [stat, command] = await Promise.all([
          readFile(`/proc/${pid}/stat`, 'utf8'),
          readFile(`/proc/${pid}/cmdline`, 'utf8'),
        ]);
        // The second field is the name in brackets and may itself hold spaces and brackets.
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (fields[0] === 'Z') return undefined;
        return {
          pid: Number(pid),
          parent: Number(fields[1]),
          started: fields[19] ?? '',
          command: command.replaceAll('\0', ' ').trim(),
        };
      } catch {
        return undefined; // It ended between the listing and the look.
      }
    }),
  );
  return found.filter(one => one !== undefined);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already, which is what we want.
  }
}
