import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Clock, delay, systemClock, throwIfAborted } from '../base/async.ts';
import { codeOf } from '../base/errors.ts';

/**
 * Which process, for good: pids are given out again, a pid together with its start time is not.
 * `startedAt` is opaque: it is compared with what the same machine said before, and with nothing else.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
}

interface Row extends ProcessIdentity {
  readonly ppid: number;
  /** 0 where there are no process groups (Windows). */
  readonly pgid: number;
  /** Ended, and only waits for its parent to ask how. It runs nothing and holds nothing. */
  readonly zombie: boolean;
}

type Table = ReadonlyMap<number, Row>;

const run = promisify(execFile);
const isLinux = process.platform === 'linux';
const isWindows = process.platform === 'win32';

/** The process that has this pid now; undefined when there is none or it is a zombie. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const row = isLinux ? readStat(pid) : (await queryTable(pid)).get(pid);
  return row && !row.zombie ? { pid: row.pid, startedAt: row.startedAt } : undefined;
}

/** Whether this very process still runs. */
export async function isSame(identity: ProcessIdentity): Promise<boolean> {
  return (await identify(identity.pid))?.startedAt === identity.startedAt;
}

/** The living children of `pid`, their children and so on. Those whose parent has died are not found this way. */
export async function descendants(pid: number): Promise<number[]> {
  const table = await processTable();
  return [...descendantsIn(table, [pid])].filter(one => !table.get(one)?.zombie);
}

/**
 * The processes that were started with `name=value` in their environment, as far as they may be read: finds those
 * that left their parent and their group. Linux only; elsewhere none. Programs that write over their environment to
 * show a title (PostgreSQL, nginx) are not found.
 */
export function processesWithEnvironment(name: string, value: string): Promise<number[]> {
  return Promise.resolve(isLinux ? linuxPids().filter(pid => hasVariable(pid, name, value)) : []);
}

export interface EndStep {
  readonly signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL';
  /** How long this signal is given, milliseconds. */
  readonly waitMs: number;
}

export interface EndOptions {
  readonly leader: ProcessIdentity;
  /** An environment variable that the service's processes, and no others, were started with. */
  readonly marker?: { readonly name: string; readonly value: string };
  readonly steps: readonly EndStep[];
  /**
   * The leader is, or was until a moment ago, the caller's own child: what remains of its group once it is gone is
   * known to be its group. Without this only carriers of the marker are ended then, because an identity out of a
   * file may be so old that the number names somebody else's group.
   */
  readonly isOwnChild?: boolean;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

/**
 * Ends a service whole: the leader's process group, its descendants that left the group, and all carriers of the
 * marker. Goes through the steps until all are gone (zombies are); `survived` when some outlive the last one.
 * A process whose start time is not the one seen before is never signalled, nor is the caller itself.
 *
 * On Windows, which knows no such signals, SIGKILL is `taskkill /T /F` and the others are the same without `/F`.
 * @throws {CancelledError} when `signal` aborts; what was signalled stays signalled.
 */
export async function endProcessGroup(options: EndOptions): Promise<'ended' | 'survived'> {
  const targets = new Targets(options);
  for (const step of options.steps) {
    throwIfAborted(options.signal);
    if (await endWith(step, targets, options)) return 'ended';
  }
  return (await targets.find()).length === 0 ? 'ended' : 'survived';
}

async function endWith(step: EndStep, targets: Targets, options: EndOptions): Promise<boolean> {
  const { clock = systemClock } = options;
  const deadline = clock.now() + step.waitMs;
  const signalled = new Set<Row>();
  for (let pause = 10; ; pause = Math.min(200, pause * 1.5)) {
    if (signalled.size === 0 || !(await targets.anyAlive())) {
      const found = await targets.find();
      if (found.length === 0) return true;
      // Not the second time for anyone: many programs take a second SIGINT as "at once, without cleaning up".
      const fresh = found.filter(row => !signalled.has(row));
      const heard = await targets.send(step.signal, fresh, signalled.size === 0);
      for (const row of fresh) signalled.add(row);
      if (!heard) return false;
    }
    if (clock.now() >= deadline) return false;
    await delay(Math.min(pause, deadline - clock.now()), options.signal, clock);
  }
}

/** The processes to end. Once seen they stay known, since a process whose parent ends cannot be traced any more. */
class Targets {
  private known: Row[] = [];
  private groupIsOurs = false;

  constructor(private readonly options: EndOptions) {}

  /** All of them that live now, those that have appeared since the last look included. */
  async find(): Promise<readonly Row[]> {
    const { leader, marker, isOwnChild = false } = this.options;
    const table = await processTable();
    const led = table.get(leader.pid);
    // While a group has members, the kernel gives its number to no new process. So a leader that is another one
    // than expected means that our group is gone.
    const isOurs = led ? led.startedAt === leader.startedAt : isOwnChild;
    const group = isOurs ? [...table.values()].filter(row => row.pgid === leader.pid) : [];
    this.groupIsOurs = isOurs && group.length > 0 && table.get(process.pid)?.pgid !== leader.pid;
    const carriers = marker ? await processesWithEnvironment(marker.name, marker.value) : [];
    const living = this.known.filter(row => isAlive(row, table.get(row.pid)));
    const roots = new Set([...group, ...living].map(row => row.pid).concat(carriers, led && isOurs ? leader.pid : []));
    const pids = new Set([...roots, ...descendantsIn(table, roots)]);
    pids.delete(process.pid);
    this.known = [...pids].map(pid => living.find(row => row.pid === pid) ?? table.get(pid)).filter(isLiving);
    return this.known;
  }

  /** Cheaper than `find()`: looks only at those known. */
  async anyAlive(): Promise<boolean> {
    if (this.known.length === 0) return false;
    const table = isLinux ? undefined : await processTable();
    return this.known.some(row => isAlive(row, table ? table.get(row.pid) : readStat(row.pid)));
  }

  /** False when nobody could be told, so that waiting is of no use. */
  async send(signal: EndStep['signal'], rows: readonly Row[], wholeGroup: boolean): Promise<boolean> {
    if (isWindows) return taskkill(rows, signal === 'SIGKILL');
    const byGroup = wholeGroup && this.groupIsOurs;
    const group = this.options.leader.pid;
    if (byGroup) kill(-group, signal);
    for (const row of rows) {
      if (byGroup && row.pgid === group) continue;
      if (!isLinux || readStat(row.pid)?.startedAt === row.startedAt) kill(row.pid, signal);
    }
    return true;
  }
}

const isLiving = (row: Row | undefined): row is Row => row !== undefined && !row.zombie;

const isAlive = (seen: Row, now: Row | undefined): boolean => isLiving(now) && now.startedAt === seen.startedAt;

/** A process that is gone or may not be signalled shows when we look again whether it lives. */
function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!['ESRCH', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
  }
}

async function taskkill(rows: readonly Row[], force: boolean): Promise<boolean> {
  const pids = rows.flatMap(row => ['/PID', String(row.pid)]);
  try {
    await run('taskkill', ['/T', ...(force ? ['/F'] : []), ...pids], { windowsHide: true });
    return true;
  } catch {
    // Console programs cannot be asked to end, only forced; a forced one may have gone by itself meanwhile.
    return force;
  }
}

function descendantsIn(table: Table, roots: Iterable<number>): Set<number> {
  const children = groupByParent(table);
  const found = new Set<number>();
  const pending = [...roots];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    for (const child of children.get(pid) ?? []) {
      if (found.has(child.pid) || !isChild(child, table.get(pid))) continue;
      found.add(child.pid);
      pending.push(child.pid);
    }
  }
  return found;
}

function groupByParent(table: Table): ReadonlyMap<number, readonly Row[]> {
  const children = new Map<number, Row[]>();
  for (const row of table.values()) {
    const siblings = children.get(row.ppid);
    if (siblings) siblings.push(row);
    else children.set(row.ppid, [row]);
  }
  return children;
}

/** Windows does not tell children when their parent ends, so that its pid may by now be a younger process's. */
const isChild = (child: Row, parent: Row | undefined): boolean =>
  !isWindows || parent === undefined || child.startedAt >= parent.startedAt;

async function processTable(): Promise<Table> {
  if (!isLinux) return queryTable();
  const rows = linuxPids()
    .map(readStat)
    .filter(row => row !== undefined);
  return tableOf(rows);
}

const tableOf = (rows: readonly Row[]): Table => new Map(rows.map(row => [row.pid, row]));

/** Asks the system's own tool for all processes or one. A tool that fails for one pid means there is no such process. */
async function queryTable(pid?: number): Promise<Table> {
  try {
    return tableOf(isWindows ? await queryWindows(pid) : await queryPs(pid));
  } catch (error) {
    if (pid !== undefined) return new Map();
    throw error;
  }
}

async function queryPs(pid: number | undefined): Promise<Row[]> {
  const which = pid === undefined ? ['-ax'] : ['-p', String(pid)];
  const columns = ['pid=', 'ppid=', 'pgid=', 'stat=', 'lstart='].flatMap(column => ['-o', column]);
  // The start time is printed for people: the same language and time zone make the same words for the same moment.
  const { stdout } = await run('ps', [...which, ...columns], { env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } });
  return parsePs(stdout);
}

async function queryWindows(pid: number | undefined): Promise<Row[]> {
  const filter = pid === undefined ? '' : ` -Filter "ProcessId=${pid}"`;
  const line = `'{0} {1} {2}' -f $_.ProcessId, $_.ParentProcessId, $_.CreationDate.ToUniversalTime().Ticks`;
  const script = `Get-CimInstance Win32_Process${filter} | Where-Object CreationDate | ForEach-Object { ${line} }`;
  const args = ['-NoProfile', '-NonInteractive', '-Command', script];
  const { stdout } = await run('powershell.exe', args, { windowsHide: true });
  return parseWindows(stdout);
}

/** Rows of `ps -o pid= -o ppid= -o pgid= -o stat= -o lstart=`. */
export function parsePs(output: string): Row[] {
  const rows = output.matchAll(/^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S.*?)\s*$/gm);
  return [...rows].map(([, pid, ppid, pgid, state, startedAt]) => ({
    pid: Number(pid),
    ppid: Number(ppid),
    pgid: Number(pgid),
    zombie: state!.startsWith('Z'),
    startedAt: startedAt!,
  }));
}

/** Lines of pid, parent's pid and creation time in ticks (of equal length, so they compare as strings). */
export function parseWindows(output: string): Row[] {
  return [...output.matchAll(/^(\d+) (\d+) (\d+)\s*$/gm)].map(([, pid, ppid, startedAt]) => ({
    pid: Number(pid),
    ppid: Number(ppid),
    pgid: 0,
    zombie: false,
    startedAt: startedAt!,
  }));
}

// /proc is read synchronously: it is memory, and a trip through the thread pool for each file takes ten times as long.

function linuxPids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

let bootId: string | undefined;

/** The fields of /proc/PID/stat (proc(5)): 3 state, 4 ppid, 5 pgrp, 20 threads, 22 start time in ticks since boot. */
function readStat(pid: number): Row | undefined {
  const stat = readProc(pid, 'stat')?.toString('latin1');
  // The command, field 2, is in parentheses and may itself hold spaces and parentheses.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, ppid, pgid] = fields ?? [];
  if (!fields || state === undefined) return undefined;
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return {
    pid,
    ppid: Number(ppid),
    pgid: Number(pgid),
    // Its first thread may be gone while others still end, and until the last of them has, its sockets stay open.
    zombie: state === 'X' || (state === 'Z' && Number(fields[17]) <= 1),
    startedAt: `${fields[19]}@${bootId}`,
  };
}

function hasVariable(pid: number, name: string, value: string): boolean {
  const environment = readProc(pid, 'environ');
  if (!environment) return false;
  const entry = Buffer.from(`${name}=${value}\0`);
  const at = environment.indexOf(entry);
  // Another variable's value may end in what looks like ours.
  return at === 0 || (at > 0 && environment.includes(Buffer.concat([Buffer.from([0]), entry])));
}

function readProc(pid: number, file: string): Buffer | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`);
  } catch {
    // Gone in the meantime, or not ours to read.
    return undefined;
  }
}
