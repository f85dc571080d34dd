import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { program } from './occupants.ts';
import type { LoadFigures } from './programs/proxy-load.ts';
import type { Scope } from './scope.ts';

/** The proxy has a core of its own, and the backend and the load share another, where the system can do that. */
export const CORES = { others: 0, proxy: 1 } as const;

const canPin = process.platform === 'linux' && availableParallelism() > 1;

export const pinned = (core: number, command: readonly string[]): string[] =>
  canPin ? ['taskset', '-c', String(core), ...command] : [...command];

export const nodeProgram = (name: string, ...args: string[]): string[] => [process.execPath, program(name), ...args];

/** Starts a program that prints its port. */
export async function startServer(
  scope: Scope,
  core: number,
  command: readonly string[],
): Promise<{ child: ChildProcess; port: number }> {
  const child = start(scope, core, command);
  const [line] = (await Promise.race([once(child.stdout!, 'data'), failed(child, command)])) as [Buffer];
  return { child, port: Number(String(line)) };
}

export function start(scope: Scope, core: number, command: readonly string[]): ChildProcess {
  const [file, ...args] = pinned(core, command);
  return scope.spawn(file!, args, { stdio: ['ignore', 'pipe', 'inherit'] }, 'SIGTERM');
}

async function failed(child: ChildProcess, command: readonly string[]): Promise<never> {
  await once(child, 'exit');
  throw new Error(`${command.join(' ')} ended`);
}

export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly warmMs: number;
  /** `3000ms` or a number of requests. */
  readonly limit: string;
}

export async function putLoad(
  scope: Scope,
  { port, path, connections, warmMs, limit }: LoadOptions,
): Promise<LoadFigures> {
  const args = [port, path, connections, warmMs, limit].map(String);
  const child = start(scope, CORES.others, nodeProgram('proxy-load', ...args));
  return JSON.parse(await text(child.stdout!)) as LoadFigures;
}

export async function waitForPort(port: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const socket = connect(port, '127.0.0.1');
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isThere) return;
    await sleep(20);
  }
  throw new Error(`Nobody listens on ${port}.`);
}

/** Resident memory of a process and its children, in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const pids = [pid, ...(await childrenOf(pid))];
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', pids.join(',')]);
  return stdout
    .trim()
    .split(/\s+/)
    .reduce((sum, kilobytes) => sum + Number(kilobytes) * 1024, 0);
}

/** CPU time of a process and its children so far, in microseconds; NaN where the system does not tell. */
export async function cpuMicroseconds(pid: number): Promise<number> {
  let ticks = 0;
  for (const one of [pid, ...(await childrenOf(pid))]) {
    const stat = await readFile(`/proc/${one}/stat`, 'utf8').catch(() => undefined);
    if (stat === undefined) return NaN;
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * 10_000;
}

async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    tasks.map(task => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')),
  );
  return lists
    .flatMap(list => list.trim().split(/\s+/))
    .filter(Boolean)
    .map(Number);
}
