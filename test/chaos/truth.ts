import { readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import { type Lab, type Row, type Service, SERVICES, USER_LINES } from './lab.ts';
import { below, type Process, socketInodes, sockets } from './proc.ts';

export interface Looks {
  /** `.env.local` cannot be written at the moment. */
  readonly withoutEnvFile?: boolean;
}

/**
 * Everything that is not as it should be, in words; empty when all is well. Holds what the stack says of itself against
 * what the kernel says.
 */
export async function violations(lab: Lab, looks: Looks = {}): Promise<string[]> {
  const all = lab.processes();
  const found = [...serviceViolations(lab, all), ...orphans(lab, all), ...socketViolations(lab, all)];
  if (!looks.withoutEnvFile) found.push(...envFileViolations(lab));
  if (found.length === 0) found.push(...(await answerViolations(lab)));
  return found;
}

/** Where `status --json` and what was told to the one that watches differ. */
export async function statusViolations(lab: Lab): Promise<string[]> {
  const rows = (JSON.parse(await lab.must('status', '--json')) as { services: Row[] }).services;
  const differs = rows.filter(
    row => row.state !== 'healthy' || JSON.stringify(row) !== JSON.stringify(lab.row(row.id as Service)),
  );
  return differs.map(
    row => `status --json says ${JSON.stringify(row)}, --watch ${JSON.stringify(lab.row(row.id as Service))}`,
  );
}

function serviceViolations(lab: Lab, all: readonly Process[]): string[] {
  const found: string[] = [];
  if (!lab.isWatching) found.push('status --watch has ended');
  for (const id of SERVICES) {
    const row = lab.row(id);
    const supervisors = lab.supervisors(id, [...all]);
    const leaders = lab.marked(id, [...all]).filter(one => supervisors.some(({ pid }) => pid === one.ppid));
    if (row?.state !== 'healthy') found.push(`${id} is ${row?.state ?? 'not listed'}`);
    if (supervisors.length !== 1) found.push(`${id} has ${supervisors.length} supervisors`);
    if (leaders.length !== 1) found.push(`${id} has ${leaders.length} processes`);
    else if (row?.pid !== leaders[0]!.pid) found.push(`${id} is said to be pid ${row?.pid}, it is ${leaders[0]!.pid}`);
  }
  const keepers = lab.keepers([...all]).length;
  if (keepers !== 1) found.push(`${keepers} keepers`);
  return found;
}

function orphans(lab: Lab, all: readonly Process[]): string[] {
  const roots = [...SERVICES.flatMap(id => lab.supervisors(id, [...all])), ...lab.keepers([...all])];
  const owned = below(
    all,
    roots.map(one => one.pid),
  );
  return all
    .filter(one => !owned.has(one.pid) && !lab.isClient(one.pid))
    .map(one => `orphan: pid ${one.pid} ${one.command.join(' ').slice(0, 100)}`);
}

function socketViolations(lab: Lab, all: readonly Process[]): string[] {
  const found: string[] = [];
  const open = sockets();
  const held = new Map(all.map(one => [one.pid, socketInodes(one.pid)]));
  const holder = (inode: string): number | undefined => [...held].find(([, inodes]) => inodes.has(inode))?.[0];
  const supervisorOf = (id: Service): number | undefined => lab.supervisors(id, [...all])[0]?.pid;
  for (const id of SERVICES) {
    const port = lab.row(id)?.port;
    const supervisor = supervisorOf(id);
    if (!port || supervisor === undefined) {
      found.push(`${id} has no port`);
      continue;
    }
    const leases = open.filter(one => one.protocol === 'udp' && one.port === port && holder(one.inode) === supervisor);
    if (leases.length !== 1) found.push(`${id} has ${leases.length} leases of ${port}`);
    if (id !== 'api' && id !== 'postgres' && id !== 'proxy') continue;
    const tree = below(all, [supervisor]);
    const listeners = open.filter(one => one.protocol === 'tcp' && one.port === port);
    if (listeners.length === 0) found.push(`nobody listens on ${id}'s ${port}`);
    for (const { inode, address } of listeners) {
      const pid = holder(inode);
      if (pid === undefined || !tree.has(pid)) found.push(`${id}'s ${port} is ${pid ?? 'a stranger'}'s on ${address}`);
    }
  }
  const ports = new Map(SERVICES.map(id => [lab.row(id)?.port, id]));
  for (const { protocol, port, inode } of open) {
    const pid = holder(inode);
    if (pid === undefined || lab.isClient(pid)) continue;
    const id = ports.get(port);
    if (protocol === 'tcp' && id === undefined) found.push(`pid ${pid} listens on ${port}, which is no service's`);
    if (protocol === 'udp' && lab.isBandPort(port) && (!id || supervisorOf(id) !== pid)) {
      found.push(`pid ${pid} holds a lease of ${port} that no service has`);
    }
  }
  return found;
}

function envFileViolations(lab: Lab): string[] {
  let text: string;
  try {
    text = readFileSync(lab.envFile, 'utf8');
  } catch (error) {
    return [`.env.local: ${String(error)}`];
  }
  const values = parse(text);
  const port = (id: Service): string => String(lab.row(id)?.port);
  const expected: Record<string, string> = {
    HELIX_API_URL: `http://127.0.0.1:${String(lab.row('proxy')?.port)}`,
    HELIX_API_DIRECT_URL: `http://127.0.0.1:${port('api')}`,
    API_PORT: port('api'),
    ORCHESTRATOR_PORT: port('orchestrator'),
    WORKER_PORT: port('worker'),
    POSTGRES_PORT: port('postgres'),
  };
  const found = Object.entries(expected)
    .filter(([name, value]) => values[name] !== value)
    .map(([name, value]) => `.env.local says ${name}=${values[name]}, not ${value}`);
  if (!text.startsWith(USER_LINES)) found.push('.env.local has lost what the user wrote');
  return found;
}

async function answerViolations(lab: Lab): Promise<string[]> {
  try {
    const response = await fetch(`${lab.row('api')?.url}/api/v1/health`, { signal: AbortSignal.timeout(1_000) });
    return response.ok ? [] : [`the API's health is ${response.status}`];
  } catch (error) {
    return [`the API does not answer: ${String(error)}`];
  }
}

/** What of a stopped stack is still there. */
export function remains(lab: Lab): string[] {
  const all = lab.processes().filter(one => !lab.isClient(one.pid));
  const inodes = all.flatMap(one => [...socketInodes(one.pid)]);
  const held = sockets().filter(one => inodes.includes(one.inode));
  const values = parse(readFileSync(lab.envFile, 'utf8'));
  return [
    ...all.map(one => `pid ${one.pid} ${one.command.join(' ').slice(0, 100)}`),
    ...held.map(one => `${one.protocol} ${one.port}`),
    ...['HELIX_API_URL', 'API_PORT'].filter(name => name in values).map(name => `${name} in .env.local`),
  ];
}
