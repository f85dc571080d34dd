import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../../src/base/async.ts';
import { FIXED_PORTS } from '../../../src/model/defaults.ts';
import { type Band, type Port, toPort } from '../../../src/model/port.ts';
import { DEFAULT_RESTART } from '../../../src/model/restart-policy.ts';
import { type RunSpec, type StateKind, toServiceId } from '../../../src/model/service.ts';
import { canBind } from '../../../src/ports/probe.ts';
import { OutputLog } from '../../../src/run/output.ts';
import { identify, isSame, type ProcessIdentity, processesWithEnvironment } from '../../../src/run/processes.ts';
import type { HealthCadence } from '../../../src/run/readiness.ts';
import { RUN_MARKER, runMarker } from '../../../src/run/record.ts';
import { Supervisor } from '../../../src/run/supervisor.ts';
import { waitFor } from '../../support/wait.ts';

/** Looks often, so that tests are short; patient with an answer, because the machine may be busy. */
export const QUICK: HealthCadence = {
  firstMs: 20,
  longestMs: 100,
  steadyMs: 50,
  suspectMs: 50,
  ownerEvery: 5,
  timeoutMs: 1_000,
  misses: 3,
  wrongLimitMs: 600_000,
};

/** Programs of services, for `node -e`. What they do beside listening is asked for by environment variables. */
export const SERVICES = {
  /** Healthy over HTTP on PORT. `SIGUSR2` makes it answer 503, and answer well again. */
  http: `
    let status = 200;
    process.on('SIGUSR2', () => { status = status === 200 ? 503 : 200; });
    require('node:http').createServer((request, response) => {
      response.writeHead(status);
      response.end(JSON.stringify({ status: 'ok', pid: process.pid }));
    }).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('up on ' + process.env.PORT));
  `,
  idle: `console.log('idle'); setInterval(() => {}, 1000);`,
} as const;

export const HEALTH = { kind: 'http', path: '/health', status: 200, expect: { status: 'ok' } } as const;

/** Where no service of this machine's other users is likely, and the kernel takes no ports for connections. */
const FIRST_PORT = 15_000;
const LAST_PORT = 30_000;

/** A band of ports that were all free a moment ago. */
export async function freeBand(size: number): Promise<Band> {
  for (;;) {
    const from = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT - size));
    const ports = Array.from({ length: size }, (_, index) => toPort(from + index));
    const free = await Promise.all(ports.map(canBind));
    if (free.every(Boolean) && !ports.some(port => FIXED_PORTS.includes(port))) {
      return { from: toPort(from), to: toPort(from + size - 1) };
    }
  }
}

export const portsOf = (band: Band): Port[] =>
  Array.from({ length: band.to - band.from + 1 }, (_, index) => toPort(band.from + index));

/** What a test makes is undone in reverse order, also when it fails. */
export class Cleanup {
  private readonly tasks: (() => unknown)[] = [];

  add(task: () => unknown): void {
    this.tasks.push(task);
  }

  async run(): Promise<void> {
    for (let task = this.tasks.pop(); task; task = this.tasks.pop()) await task();
  }

  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'helix-run-'));
    this.add(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    return folder;
  }

  /** A stranger: listens on the port and answers HTTP as told. */
  async stranger(port: number, body = 'not what you think', host = '127.0.0.1'): Promise<HttpServer> {
    const server = createHttpServer((_request, response) => response.end(body));
    await listen(server, port, host);
    this.add(() => close(server));
    return server;
  }

  /** A stranger that accepts connections and says nothing. */
  async silentStranger(port: number, host = '127.0.0.1'): Promise<Server> {
    const server = createServer();
    await listen(server, port, host);
    this.add(() => close(server));
    return server;
  }

  /** A process of the test's own, ended with the test. */
  async program(script: string, env: Record<string, string> = {}, args: readonly string[] = []): Promise<Program> {
    const child = spawn(process.execPath, ['-e', script, ...args], {
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    await once(child, 'spawn');
    const program = new Program(child, (await identify(child.pid!))!);
    this.add(() => program.kill());
    return program;
  }
}

export class Program {
  output = '';
  readonly exited: Promise<unknown>;

  constructor(
    readonly child: ChildProcess,
    readonly identity: ProcessIdentity,
  ) {
    this.exited = once(child, 'exit');
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }

  get pid(): number {
    return this.identity.pid;
  }

  prints(pattern: RegExp): Promise<unknown> {
    return waitFor(`${String(pattern)} in the output`, () => pattern.test(this.output), {
      interval: 10,
      seen: () => this.output,
    });
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

const connections = new WeakMap<Server, Set<Socket>>();

async function listen(server: Server, port: number, host: string): Promise<void> {
  const sockets = new Set<Socket>();
  connections.set(server, sockets);
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  server.listen(port, host);
  await once(server, 'listening');
}

export async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  for (const socket of connections.get(server) ?? []) socket.destroy();
  await closed;
}

export const alive = async (identity: ProcessIdentity): Promise<boolean> => isSame(identity);

export const untilGone = (identity: ProcessIdentity): Promise<unknown> =>
  waitFor(`the end of pid ${identity.pid}`, async () => !(await isSame(identity)), { interval: 20 });

/** One service with its supervisor in this process, and all that was told of it. */
export class Bench {
  readonly id = toServiceId('api');
  readonly said: string[] = [];
  readonly states: StateKind[] = [];
  readonly marker: string;

  private constructor(
    readonly dir: string,
    readonly band: Band,
    private readonly cleanup: Cleanup,
  ) {
    this.marker = runMarker(dir, this.id);
    // Last of all, so also when a supervisor failed to.
    cleanup.add(async () => {
      for (const pid of await this.processes()) process.kill(pid, 'SIGKILL');
    });
  }

  static async make(cleanup: Cleanup, bandSize = 3): Promise<Bench> {
    return new Bench(await cleanup.folder(), await freeBand(bandSize), cleanup);
  }

  /** Healthy over HTTP unless told otherwise. */
  spec(changes: Partial<RunSpec> & { readonly script?: string } = {}): RunSpec {
    const { script = SERVICES.http, env, ...rest } = changes;
    return {
      id: this.id,
      label: 'API',
      workspace: this.dir,
      command: [process.execPath, '-e', script],
      cwd: this.dir,
      env: { ...(rest.port?.kind === 'none' ? {} : { PORT: '${port}' }), DIR: this.dir, ...env },
      host: '127.0.0.1',
      port: { kind: 'band', band: this.band },
      readiness: HEALTH,
      readyTimeoutMs: 60_000,
      stopTimeoutMs: 10_000,
      restart: { ...DEFAULT_RESTART, initialDelayMs: 10 },
      tty: false,
      ...rest,
    };
  }

  async supervisor(cadence: Partial<HealthCadence> = {}, clock: Clock = systemClock): Promise<Supervisor> {
    const output = new OutputLog(join(this.dir, `${this.id}.log`));
    const supervisor = new Supervisor(this.id, {
      dir: this.dir,
      marker: this.marker,
      self: (await identify(process.pid))!,
      user: 'tester',
      output,
      onOutput: () => undefined,
      say: line => this.said.push(line),
      environment: { PATH: process.env['PATH'] },
      cadence: { ...QUICK, ...cadence },
      clock,
    });
    supervisor.onChange(({ state }) => {
      if (this.states.at(-1) !== state.kind) this.states.push(state.kind);
    });
    this.cleanup.add(async () => {
      await supervisor.close();
      output.dispose();
    });
    return supervisor;
  }

  /** Started, and in this state. */
  async run(spec: RunSpec, kind: StateKind = 'healthy'): Promise<Supervisor> {
    const supervisor = await this.supervisor();
    supervisor.start(spec);
    await this.until(supervisor, kind);
    return supervisor;
  }

  until(supervisor: Supervisor, kind: StateKind): Promise<unknown> {
    return waitFor(`the state ${kind}`, () => supervisor.snapshot.state.kind === kind, {
      interval: 5,
      seen: () => ({ snapshot: supervisor.snapshot, said: this.said }),
    });
  }

  /** All processes that carry the service's marker now. */
  processes(): Promise<number[]> {
    return processesWithEnvironment(RUN_MARKER, this.marker);
  }

  file(name: string): string {
    return join(this.dir, name);
  }

  /** The lines of a file that services wrote, none while there is no such file. */
  async lines(name: string): Promise<string[]> {
    const text = await readFile(this.file(name), 'utf8').catch(() => '');
    return text.split('\n').filter(Boolean);
  }

  async record(): Promise<Record<string, unknown>> {
    return JSON.parse(await readFile(this.file(`${this.id}.json`), 'utf8')) as Record<string, unknown>;
  }
}
