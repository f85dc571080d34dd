import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

// What Linux itself says, read without the product's own code, which is what is being judged here.

export interface Process {
  readonly pid: number;
  readonly ppid: number;
  /** Ticks since boot; with the pid it names one process for good. */
  readonly started: number;
  readonly stopped: boolean;
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly cwd: string;
}

export interface Socket {
  readonly protocol: 'tcp' | 'udp';
  /** Hexadecimal, as the kernel writes it. */
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

/** All living processes; zombies are gone but for their parent asking about them. */
export function processes(): Process[] {
  return readdirSync('/proc').flatMap(name => (/^\d+$/.test(name) ? (processOf(Number(name)) ?? []) : []));
}

export function processOf(pid: number): Process | undefined {
  const stat = read(`${pid}/stat`);
  const [state, ppid, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (!state || state === 'Z' || state === 'X') return undefined;
  return {
    pid,
    ppid: Number(ppid),
    started: Number(fields[17]),
    stopped: state === 'T',
    command: strings(read(`${pid}/cmdline`)),
    environment: strings(read(`${pid}/environ`)),
    cwd: link(`${pid}/cwd`),
  };
}

const MS_PER_TICK = 10;

/** When the process was started, on the clock of `Date.now()`, to 10 ms. */
export function startTime(process: Process): number {
  const sinceBoot = Number(read('uptime').split(' ')[0]) * 1000;
  return Date.now() - sinceBoot + process.started * MS_PER_TICK;
}

/** The processes of `roots` and all below them. */
export function below(all: readonly Process[], roots: readonly number[]): Set<number> {
  const found = new Set(roots);
  for (let grown = -1; grown !== found.size;) {
    grown = found.size;
    for (const one of all) if (found.has(one.ppid)) found.add(one.pid);
  }
  return found;
}

const LISTENING = '0A';

/** Listening TCP sockets and bound UDP sockets of this machine. */
export function sockets(): Socket[] {
  return (['tcp', 'tcp6', 'udp', 'udp6'] as const).flatMap(table =>
    read(`net/${table}`)
      .split('\n')
      .slice(1)
      .flatMap(line => {
        const fields = line.trim().split(/\s+/);
        const [address, port] = fields[1]?.split(':') ?? [];
        const protocol = table.startsWith('tcp') ? 'tcp' : 'udp';
        if (!address || !port || (protocol === 'tcp' && fields[3] !== LISTENING)) return [];
        return [{ protocol, address, port: parseInt(port, 16), inode: fields[9]! } as const];
      }),
  );
}

/** The inodes of the sockets that a process has open. */
export function socketInodes(pid: number): Set<string> {
  let descriptors: string[] = [];
  try {
    descriptors = readdirSync(`/proc/${pid}/fd`);
  } catch {
    // It has ended.
  }
  const inodes = descriptors.map(fd => /^socket:\[(\d+)\]$/.exec(link(`${pid}/fd/${fd}`))?.[1]);
  return new Set(inodes.filter(inode => inode !== undefined));
}

const strings = (text: string): string[] => text.split('\0').filter(Boolean);

function read(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'latin1');
  } catch {
    return '';
  }
}

function link(file: string): string {
  try {
    return readlinkSync(`/proc/${file}`);
  } catch {
    return '';
  }
}
