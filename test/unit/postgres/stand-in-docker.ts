import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresConfig } from '../../../src/postgres/config.ts';

/**
 * A `docker` for tests where there is none, with as much of its command line as is used. Its containers are real
 * servers, started by the built `src/postgres.ts`, and as those of a daemon they outlive who started them. It writes
 * down every call; `faults.json` tells it what to refuse, by subcommand, and in which words.
 */
const folder = process.env['STAND_IN_FOLDER']!;
const path = (name: string): string => join(folder, name);
const readJson = <T>(name: string): T | undefined =>
  existsSync(path(name)) ? (JSON.parse(readFileSync(path(name), 'utf8')) as T) : undefined;

interface Stored {
  readonly labels: Readonly<Record<string, string>>;
  readonly config: PostgresConfig;
  readonly pid?: number;
  readonly startedAt?: string;
}
const stored = (name: string): Stored | undefined => readJson<Stored>(`${name}.container.json`);
/** In one piece, since other calls read it meanwhile. */
const write = (name: string, text: string): void => {
  const half = path(`${name}.${process.pid}`);
  writeFileSync(half, text);
  renameSync(half, path(name));
};
const store = (name: string, container: Stored): void => write(`${name}.container.json`, JSON.stringify(container));
const exitCodeOf = (name: string): number | undefined => readJson<number>(`${name}.exit`);

function runs(name: string): boolean {
  const pid = stored(name)?.pid;
  return pid !== undefined && exitCodeOf(name) === undefined && existsSync(`/proc/${pid}`);
}

const valuesOf = (args: readonly string[], option: string): string[] =>
  args.flatMap((one, index) => (one === option ? [args[index + 1]!] : []));

const pairs = (values: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    values.map(one => (one.includes('=') ? one.split(/=(.*)/s).slice(0, 2) : [one, process.env[one] ?? ''])),
  ) as Record<string, string>;

function create(args: readonly string[]): number {
  const [name] = valuesOf(args, '--name');
  if (stored(name!)) return refuse(`Error response from daemon: Conflict. The container name "/${name}" is in use.`);
  const env = pairs(valuesOf(args, '--env'));
  const [, port] = valuesOf(args, '--publish')[0]!.split(':');
  const [volume] = valuesOf(args, '--volume')[0]!.split(':');
  store(name!, {
    labels: pairs(valuesOf(args, '--label')),
    config: {
      host: '127.0.0.1',
      port: Number(port),
      user: env['POSTGRES_USER']!,
      password: env['POSTGRES_PASSWORD']!,
      database: env['POSTGRES_DB']!,
      dataRoot: path(`volume-${volume}`),
      preference: 'auto',
      embeddedRoots: [process.env['STAND_IN_ROOT']!],
    },
  });
  console.log('0123456789ab');
  return 0;
}

function start(name: string): number {
  if (runs(name)) return 0;
  rmSync(path(`${name}.exit`), { force: true });
  const log = openSync(path(`${name}.log`), 'w');
  const env = Object.fromEntries(Object.entries(process.env).filter(([one]) => !one.startsWith('HELIX_PORTS')));
  const child = spawn(process.execPath, [__filename, 'container', name], {
    detached: true,
    stdio: ['ignore', log, log],
    env,
  });
  store(name, { ...stored(name)!, pid: child.pid!, startedAt: new Date().toISOString() });
  child.unref();
  return 0;
}

/** What a container's process is: the server, and behind it its exit code. */
async function container(name: string): Promise<number> {
  const { password, ...config } = stored(name)!.config;
  const child: ChildProcess = spawn(process.execPath, [process.env['STAND_IN_POSTGRES']!], {
    stdio: 'inherit',
    env: { ...process.env, HELIX_POSTGRES: JSON.stringify(config), POSTGRES_PASSWORD: password },
  });
  process.on('SIGINT', () => child.kill('SIGINT'));
  const code = await new Promise<number>(resolve => child.once('exit', exit => resolve(exit ?? 137)));
  write(`${name}.exit`, String(code));
  return code;
}

async function untilEnded(name: string, meanwhile: () => void = () => undefined): Promise<number> {
  while (runs(name)) {
    meanwhile();
    await sleep(50);
  }
  meanwhile();
  return exitCodeOf(name) ?? 137;
}

async function logs(name: string): Promise<number> {
  let shown = 0;
  await untilEnded(name, () => {
    const text = readFileSync(path(`${name}.log`), 'utf8');
    process.stdout.write(text.slice(shown));
    shown = text.length;
  });
  return 0;
}

async function stop(name: string): Promise<number> {
  if (runs(name)) process.kill(stored(name)!.pid!, 'SIGINT');
  await untilEnded(name);
  return 0;
}

function inspect(name: string): number {
  const found = stored(name);
  if (!found) return refuse(`Error: No such container: ${name}`);
  const State = { Running: runs(name), ExitCode: exitCodeOf(name) ?? 0, StartedAt: found.startedAt ?? '' };
  console.log(JSON.stringify([{ State, Config: { Labels: found.labels } }]));
  return 0;
}

function image([, name]: readonly string[]): number {
  if (!existsSync(path('image'))) return refuse(`Error: No such image: ${name}`);
  const Config = { Env: ['PG_MAJOR=13'], Volumes: { '/var/lib/postgresql/data': {} } };
  console.log(JSON.stringify([{ Id: `sha256:of-${name}`, Config }]));
  return 0;
}

function pull(): number {
  console.log('Pull complete');
  writeFileSync(path('image'), '');
  return 0;
}

function refuse(message: string): number {
  console.error(message);
  return 1;
}

async function main(args: readonly string[]): Promise<number> {
  const [command = '', ...rest] = args;
  const name = rest.at(-1) ?? '';
  if (command === 'container' && rest.length === 1) return container(name);
  const call = { args, password: process.env['POSTGRES_PASSWORD'] };
  appendFileSync(path('calls.log'), `${JSON.stringify(call)}\n`);
  const fault = readJson<Record<string, string>>('faults.json')?.[command];
  if (fault !== undefined) return refuse(fault);
  switch (command) {
    case 'ps':
      return 0;
    case 'container':
      return inspect(name);
    case 'image':
      return image(rest);
    case 'pull':
      return pull();
    case 'create':
      return create(rest);
    case 'start':
      return start(name);
    case 'logs':
      return logs(name);
    case 'wait':
      console.log(await untilEnded(name));
      return 0;
    case 'stop':
      return stop(name);
    case 'rm':
      await stop(name);
      rmSync(path(`${name}.container.json`));
      return 0;
    default:
      return refuse(`unknown command: ${command}`);
  }
}

void main(process.argv.slice(2)).then(code => (process.exitCode = code));
