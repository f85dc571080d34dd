import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { codeOf } from '../base/errors.ts';
import {
  type Listener,
  oneLine,
  parseBsdNetstat,
  parseLsof,
  parsePsCommands,
  parseWindowsNetstat,
  parseWindowsProcesses,
  type Protocol,
  type ToolRow,
} from './tool-output.ts';

export type { Listener, Protocol } from './tool-output.ts';

const run = promisify(execFile);

/** Who has a port, as far as this user may see it: of another user's process often no more than whose it is. */
export interface Holder {
  readonly port: number;
  readonly pid?: number;
  /** The command line, on one line and free of control characters. */
  readonly command?: string;
  readonly user?: string;
  /** Milliseconds since the epoch. */
  readonly startedAtMs?: number;
}

/**
 * Those of `ports` that somebody has, with whom: listens on (TCP) or is bound to (UDP). One look at the system for
 * all of them, about 10 ms on Linux. A TCP socket that is bound but does not listen is nowhere to be seen.
 */
export async function holdersOf(
  ports: readonly number[],
  protocol: Protocol = 'tcp',
): Promise<ReadonlyMap<number, Holder>> {
  const wanted = new Set(ports);
  switch (process.platform) {
    case 'linux':
      return linuxHolders(wanted, protocol);
    case 'win32':
      return describeAll(await windowsSockets(wanted, protocol), windowsProcesses);
    default:
      return describeAll(await bsdSockets(wanted, protocol), psProcesses);
  }
}

/** The TCP ports on which these processes listen; one that several of them share is listed for each. */
export async function listenersOf(pids: ReadonlySet<number>): Promise<readonly Listener[]> {
  if (pids.size === 0) return [];
  switch (process.platform) {
    case 'linux':
      return linuxListeners(pids);
    case 'win32':
      return parseWindowsNetstat(await windowsNetstat(), 'tcp').filter(row => pids.has(row.pid));
    default: {
      const rows = await lsof(['-a', '-p', [...pids].join(','), '-iTCP', '-sTCP:LISTEN']);
      return rows.map(({ pid, port, address }) => ({ pid, port, address }));
    }
  }
}

/**
 * Whether anybody beside these processes listens on the port, at whatever address: an address that they leave free is
 * somebody else's to take. Known on Linux only; elsewhere nobody is.
 */
export async function othersListenOn(port: number, pids: ReadonlySet<number>): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const rows = (await socketRows('tcp')).filter(row => row.port === port);
  const ours = new Set([...pids].flatMap(socketInodes));
  return rows.some(({ inode }) => !ours.has(inode));
}

/** `pid 4711 (node server.js) of alice`, with as much of it as is known. */
export function describeHolder(holder: Holder): string {
  const who = holder.pid === undefined ? 'a process' : `pid ${holder.pid}`;
  const what = holder.command ? ` (${shortCommand(holder.command)})` : '';
  const whose = holder.user ? ` of ${holder.user}` : '';
  return `${who}${what}${whose}`;
}

const SHOWN_COMMAND = 80;

/** The program without its folder, and as much of its arguments as fits a message. */
function shortCommand(command: string): string {
  const [program = '', ...rest] = command.split(' ');
  const short = [program.slice(program.lastIndexOf('/') + 1), ...rest].join(' ');
  return short.length > SHOWN_COMMAND ? `${short.slice(0, SHOWN_COMMAND - 1)}…` : short;
}

// Linux: the kernel's socket tables say which inode has which port, /proc/PID/fd who has the inode. Read synchronously:
// it is memory, and a trip through the thread pool for each of a thousand links takes ten times as long.

interface SocketRow {
  readonly port: number;
  readonly address: string;
  readonly uid: number;
  readonly inode: string;
}

const TCP_LISTEN = '0A';

/** Rows of /proc/net/{tcp,udp}{,6} (proc_net(5)) of sockets that listen (TCP) or are bound (UDP). */
async function socketRows(protocol: Protocol): Promise<SocketRow[]> {
  const tables = [protocol, `${protocol}6`].map(name => readFile(`/proc/net/${name}`, 'latin1').catch(() => ''));
  return (await Promise.all(tables))
    .flatMap(text => text.split('\n').slice(1))
    .flatMap(line => {
      const [, local, , state, , , , uid, , inode] = line.trim().split(/\s+/);
      if (!local || !inode || (protocol === 'tcp' && state !== TCP_LISTEN)) return [];
      const [address = '', port = ''] = local.split(':');
      return [{ port: parseInt(port, 16), address: readAddress(address), uid: Number(uid), inode }];
    });
}

/** Words of 32 bits, each in the machine's (little-endian) byte order: `0100007F` is 127.0.0.1. */
function readAddress(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = bytes.toString('hex').match(/.{4}/g) ?? [];
  // The URL parser writes an IPv6 address in its one canonical form.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

async function linuxHolders(ports: ReadonlySet<number>, protocol: Protocol): Promise<ReadonlyMap<number, Holder>> {
  const rows = (await socketRows(protocol)).filter(row => ports.has(row.port));
  if (rows.length === 0) return new Map();
  const owners = inodeOwners(new Set(rows.map(row => row.inode)));
  const users = await userNames();
  const holders = new Map<number, Holder>();
  for (const { port, uid, inode } of rows) {
    if (holders.get(port)?.pid !== undefined) continue;
    const pid = owners.get(inode);
    const known = pid === undefined ? {} : { pid, ...linuxProcess(pid) };
    holders.set(port, { port, user: users.get(uid) ?? `uid ${uid}`, ...known });
  }
  return holders;
}

async function linuxListeners(pids: ReadonlySet<number>): Promise<readonly Listener[]> {
  const rows = await socketRows('tcp');
  return [...pids].flatMap(pid => {
    const inodes = new Set(socketInodes(pid));
    return rows.filter(row => inodes.has(row.inode)).map(({ port, address }) => ({ pid, port, address }));
  });
}

/** Which process has each of these sockets. The fds of other users' processes can be read by root alone. */
function inodeOwners(wanted: ReadonlySet<string>): ReadonlyMap<string, number> {
  const owners = new Map<string, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    for (const inode of socketInodes(Number(name))) {
      // Of processes that share a socket the first is the parent that opened it.
      if (wanted.has(inode) && !owners.has(inode)) owners.set(inode, Number(name));
    }
    if (owners.size === wanted.size) break;
  }
  return owners;
}

function socketInodes(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return (attempt(() => readdirSync(folder)) ?? []).flatMap(fd => {
    const link = attempt(() => readlinkSync(`${folder}/${fd}`));
    return link?.startsWith('socket:[') ? link.slice('socket:['.length, -1) : [];
  });
}

/** Start times in /proc are counted in ticks of 1/100 s on every Linux that Node runs on (USER_HZ). */
const MS_PER_TICK = 10;

function linuxProcess(pid: number): Pick<Holder, 'command' | 'startedAtMs'> {
  const read = (file: string): string => attempt(() => readFileSync(`/proc/${file}`, 'utf8')) ?? '';
  const command = oneLine(read(`${pid}/cmdline`)) || oneLine(read(`${pid}/comm`));
  const bootSeconds = Number(/^btime (\d+)$/m.exec(read('stat'))?.[1]);
  const stat = read(`${pid}/stat`);
  const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  const startedAtMs = bootSeconds * 1000 + ticks * MS_PER_TICK;
  return { ...(command && { command }), ...(Number.isFinite(startedAtMs) && { startedAtMs }) };
}

async function userNames(): Promise<ReadonlyMap<number, string>> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const entries = text.split('\n').map(line => line.split(':'));
  return new Map(entries.map(([name = '', , uid]) => [Number(uid), name]));
}

/** What can be read; a process that is gone by now, or not ours to look into, is no error here. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

// Elsewhere: the system's own tools.

type Describe = (
  pids: readonly number[],
) => Promise<ReadonlyMap<number, Pick<Holder, 'command' | 'startedAtMs' | 'user'>>>;

async function describeAll(rows: readonly ToolRow[], describe: Describe): Promise<ReadonlyMap<number, Holder>> {
  const pids = new Set(rows.flatMap(row => row.pid ?? []));
  const details = pids.size > 0 ? await describe([...pids]) : new Map<number, object>();
  const holders = new Map<number, Holder>();
  for (const { address: _address, ...row } of rows) {
    if (holders.get(row.port)?.pid !== undefined) continue;
    holders.set(row.port, { ...row, ...(row.pid === undefined ? {} : details.get(row.pid)) });
  }
  return holders;
}

/** lsof knows the processes of this user, netstat that there are others. */
async function bsdSockets(ports: ReadonlySet<number>, protocol: Protocol): Promise<ToolRow[]> {
  const [own, all] = await Promise.all([
    lsof(protocol === 'tcp' ? ['-iTCP', '-sTCP:LISTEN'] : ['-iUDP']),
    run('netstat', ['-an', '-p', protocol]).then(
      ({ stdout }) => parseBsdNetstat(stdout, protocol),
      () => [],
    ),
  ]);
  return [...own, ...all].filter(row => ports.has(row.port));
}

async function lsof(selection: readonly string[]): Promise<(ToolRow & Listener)[]> {
  // An editor started from the Dock has no /usr/sbin on its PATH.
  const program = process.platform === 'darwin' ? '/usr/sbin/lsof' : 'lsof';
  try {
    return parseLsof((await run(program, ['-nP', ...selection, '-FpcLn'])).stdout);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    // It exits with 1 when it found nothing for a part of what was asked, and prints the rest all the same.
    const { stdout } = error as { stdout?: string };
    return parseLsof(stdout ?? '');
  }
}

async function psProcesses(pids: readonly number[]): ReturnType<Describe> {
  const columns = ['pid=', 'lstart=', 'command='].flatMap(column => ['-o', column]);
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  const { stdout } = await run('ps', ['-ww', ...columns, '-p', pids.join(',')], { env }).catch(() => ({ stdout: '' }));
  return parsePsCommands(stdout);
}

async function windowsSockets(ports: ReadonlySet<number>, protocol: Protocol): Promise<Listener[]> {
  return parseWindowsNetstat(await windowsNetstat(), protocol).filter(row => ports.has(row.port));
}

const windowsNetstat = async (): Promise<string> => (await run('netstat', ['-ano'], { windowsHide: true })).stdout;

async function windowsProcesses(pids: readonly number[]): ReturnType<Describe> {
  const filter = pids.map(pid => `ProcessId=${pid}`).join(' or ');
  const started = '([DateTimeOffset]$_.CreationDate).ToUnixTimeMilliseconds()';
  const command = '$(if ($_.CommandLine) { $_.CommandLine } else { $_.Name })';
  // Of another user's process it is not told without administrator's rights.
  const user = '(Invoke-CimMethod -InputObject $_ -MethodName GetOwner -ErrorAction SilentlyContinue).User';
  // Its own way would be the system's old code page, in which a name with an umlaut is another name.
  const encoding = 'try { [Console]::OutputEncoding = [Text.Encoding]::UTF8 } catch { }; ';
  const script =
    `${encoding}Get-CimInstance Win32_Process -Filter "${filter}" | Where-Object CreationDate | ` +
    `ForEach-Object { "{0}\`t{1}\`t{2}\`t{3}" -f $_.ProcessId, ${started}, ${user}, ${command} }`;
  const args = ['-NoProfile', '-NonInteractive', '-Command', script];
  const { stdout } = await run('powershell.exe', args, { windowsHide: true }).catch(() => ({ stdout: '' }));
  return parseWindowsProcesses(stdout);
}
