// What the tools of macOS, the BSDs and Windows print about sockets and processes, read without calling them.

export interface Listener {
  readonly pid: number;
  readonly port: number;
  /** As the system writes it: `127.0.0.1`, `::`, or `*` on macOS. */
  readonly address: string;
}

export type Protocol = 'tcp' | 'udp';

/** A socket as a tool lists it, with what it tells on the way. */
export interface ToolRow {
  readonly port: number;
  readonly address: string;
  readonly pid?: number;
  readonly command?: string;
  readonly user?: string;
}

/** Command lines are other people's text, and go to terminals and messages. */
export const oneLine = (command: string): string => command.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();

/** Output of `lsof -FpcLn`: a line of p, c and L for each process, and of n for each of its sockets. */
export function parseLsof(output: string): (ToolRow & Listener)[] {
  const rows: (ToolRow & Listener)[] = [];
  let process: { readonly pid: number; command: string; user: string } | undefined;
  for (const line of output.split('\n')) {
    const value = line.slice(1);
    if (line.startsWith('p')) process = /^\d+$/.test(value) ? { pid: Number(value), command: '', user: '' } : undefined;
    if (!process) continue;
    if (line.startsWith('c')) process.command = oneLine(value);
    else if (line.startsWith('L')) process.user = value;
    const socket = line.startsWith('n')
      ? /^n\[?(?<address>[^\]]*?)\]?:(?<port>\d+)(?:->|$)/.exec(line)?.groups
      : undefined;
    if (socket) rows.push({ ...process, address: socket['address']!, port: Number(socket['port']) });
  }
  return rows;
}

/** Output of `netstat -an -p tcp|udp` on macOS and the BSDs, where a dot stands before the port. */
export function parseBsdNetstat(output: string, protocol: Protocol): ToolRow[] {
  const rows = output.matchAll(/^(?:tcp|udp)\S*[ \t]+\d+[ \t]+\d+[ \t]+(\S+)\.(\d+)[ \t]+\S+[ \t]*(\S*)/gm);
  return [...rows]
    .filter(([, , , state]) => protocol === 'udp' || state === 'LISTEN')
    .map(([, address, port]) => ({ address: address!, port: Number(port) }));
}

/** Output of `ps -o pid= -o lstart= -o command=` in the C locale and UTC. */
export function parsePsCommands(output: string): ReadonlyMap<number, { command: string; startedAtMs: number }> {
  const rows = output.matchAll(/^[ \t]*(\d+)[ \t]+(\w{3} \w{3} [ \d]\d [\d:]{8} \d{4})[ \t]*(.*)$/gm);
  return new Map(
    [...rows].map(([, pid, started, command]) => [
      Number(pid),
      { command: oneLine(command!), startedAtMs: Date.parse(`${started} UTC`) },
    ]),
  );
}

/**
 * Output of Windows' `netstat -ano`. The word for LISTENING is translated with the system; that a listener has no
 * peer (port 0) is not.
 */
export function parseWindowsNetstat(output: string, protocol: Protocol): Listener[] {
  const peer = protocol === 'tcp' ? /:0$/ : /^\*:\*$/;
  return output.split(/\r?\n/).flatMap(line => {
    const [kind, local, remote, ...rest] = line.trim().split(/\s+/);
    const socket = /^\[?(?<address>[^\]]*?)\]?:(?<port>\d+)$/.exec(local ?? '')?.groups;
    const pid = Number(rest.at(-1));
    if (kind?.toLowerCase() !== protocol || !socket || !peer.test(remote ?? '') || !Number.isInteger(pid)) return [];
    return [{ pid, port: Number(socket['port']), address: socket['address']! }];
  });
}

/** Lines of pid, start (milliseconds since the epoch), user and command line, with tabs between. */
export function parseWindowsProcesses(
  output: string,
): ReadonlyMap<number, { command: string; startedAtMs: number; user?: string }> {
  const rows = output.matchAll(/^(\d+)\t(\d+)\t([^\t\r\n]*)\t(.*)$/gm);
  return new Map(
    [...rows].map(([, pid, startedAtMs, user, line]) => [
      Number(pid),
      { command: oneLine(line!), startedAtMs: Number(startedAtMs), ...(user && { user }) },
    ]),
  );
}
