import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { delay, within } from '../base/async.ts';
import { messageOf, UserError } from '../base/errors.ts';
import type { Listen, ProxyEngine, ProxyLimits, ProxySnapshot } from './engine.ts';
import { nginxConfig, NGINX_FOLDERS } from './nginx-config.ts';

export interface NginxOptions {
  readonly program: string;
  /** The workspace's private folder; nginx gets one beneath it. */
  readonly dir: string;
  readonly limits: ProxyLimits;
  /** Answers for the proxy itself and takes the requests that find no upstream. Belongs to this engine from then on. */
  readonly fallback: ProxyEngine & { readonly address: Listen };
  /** The pids that descend from this one. */
  readonly descendants: (pid: number) => Promise<readonly number[]>;
  readonly say: (line: string) => void;
  /** nginx ended although nobody asked for it. */
  readonly onLost: (reason: string) => void;
}

const UP_MS = 15_000;
const LOOK_MS = 20;
const LOOK_AGAIN_MS = 100;
/** Workers that are told to end go on accepting for a moment. */
const SETTLE_MS = 200;
const RELOAD_MS = 10_000;
const END_MS = 3_000;

/**
 * nginx as the engine, as a child of this process: unprivileged, in a prefix of its own, never a daemon. Its
 * configuration is made from each snapshot, tested before it is used, and a bad one leaves the present one serving.
 */
export class NginxEngine implements ProxyEngine {
  readonly kind = 'nginx';
  private readonly prefix: string;
  private child: ChildProcess | undefined;
  private exited: Promise<void> = Promise.resolve();
  private listen: Listen | undefined;
  private snapshot: Pick<ProxySnapshot, 'upstreams' | 'origins' | 'hosts'> = { upstreams: [], origins: [] };
  private config = '';
  /** One for each time that upstreams left, until its limit. */
  private readonly timers = new Set<NodeJS.Timeout>();
  /** Workers that may still have something open to the upstream of this key. */
  private readonly leaving = new Map<string, ReadonlySet<number>>();
  private served: ReadonlySet<string> = new Set();

  constructor(private readonly options: NginxOptions) {
    this.prefix = join(options.dir, 'nginx');
  }

  async start(listen: Listen): Promise<void> {
    const { program, fallback } = this.options;
    // nginx tries for seconds when it finds the port taken.
    await canListen(listen);
    this.listen = listen;
    await fallback.start({ host: '127.0.0.1', port: 0 });
    try {
      for (const folder of NGINX_FOLDERS) await mkdir(join(this.prefix, folder), { recursive: true, mode: 0o700 });
      await this.writeConfig(this.configOf(this.snapshot));
      const child = spawn(program, this.args('nginx.conf'), { stdio: ['ignore', 'inherit', 'inherit'] });
      this.child = child;
      this.exited = new Promise(resolve => {
        child.once('error', error => this.ended(child, error.message, resolve));
        child.once('exit', (code, signal) => this.ended(child, `${signal ?? `code ${code}`}`, resolve));
      });
      await this.untilListening(listen);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async update(snapshot: ProxySnapshot): Promise<void> {
    await this.options.fallback.update(snapshot);
    const config = this.configOf(snapshot);
    const served = new Set(snapshot.upstreams.filter(one => !one.draining).map(one => one.key));
    if (config !== this.config) {
      const before = await this.workers();
      await this.writeConfig(config);
      this.child?.kill('SIGHUP');
      await this.untilReloaded(before);
      const gone = [...this.served].filter(key => !served.has(key));
      for (const key of gone) this.leaving.set(key, before);
      if (gone.length > 0) this.endLater(before, snapshot.drainMs ?? this.options.limits.drainMs);
    }
    this.served = served;
    this.snapshot = snapshot;
  }

  /** The workers of the configuration before end as soon as they have nothing open, or are ended at the limit. */
  async drained(key: string, signal?: AbortSignal): Promise<void> {
    const { fallback } = this.options;
    const old = this.leaving.get(key) ?? new Set<number>();
    while (old.size > 0) {
      const alive = await this.workers();
      if (![...old].some(pid => alive.has(pid))) break;
      await delay(LOOK_AGAIN_MS, signal);
    }
    this.leaving.delete(key);
    await fallback.drained(key, signal);
  }

  async stop(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    for (const timer of this.timers) clearTimeout(timer);
    if (child && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const ended = await within(
        END_MS,
        this.exited.then(() => true),
      );
      if (!ended) child.kill('SIGKILL');
      await this.exited;
    }
    await this.options.fallback.stop();
  }

  private configOf(snapshot: Pick<ProxySnapshot, 'upstreams' | 'origins' | 'hosts'>): string {
    const { limits, fallback } = this.options;
    const user = process.getuid?.() === 0 ? userInfo().username : undefined;
    return nginxConfig({ listen: this.listen!, limits, snapshot, fallback: fallback.address, user });
  }

  /** Written beside, tested, renamed: what nginx reads is always whole and good. */
  private async writeConfig(config: string): Promise<void> {
    const beside = join(this.prefix, 'next.conf');
    await writeFile(beside, config, { mode: 0o600 });
    try {
      await promisify(execFile)(this.options.program, [...this.args('next.conf'), '-t', '-q']);
    } catch (error) {
      const said = (error as { stderr?: string }).stderr?.trim() ?? String(error);
      throw new UserError(`nginx refused its configuration (${beside}): ${said}`, { cause: error });
    }
    await rename(beside, join(this.prefix, 'nginx.conf'));
    this.config = config;
  }

  private args(file: string): string[] {
    return ['-p', `${this.prefix}/`, '-c', file, '-e', 'stderr'];
  }

  private async workers(): Promise<ReadonlySet<number>> {
    const pid = this.child?.pid;
    return new Set(pid === undefined ? [] : await this.options.descendants(pid));
  }

  /**
   * nginx has a limit of its own (`worker_shutdown_timeout`), but a worker keeps the one that it began with: it could not
   * be changed any more, and every reload would cut off what is open, also where no upstream leaves.
   */
  private endLater(workers: ReadonlySet<number>, ms: number): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.cutOff(workers, ms).catch((error: unknown) => {
        this.options.say(`workers of nginx could not be ended: ${messageOf(error)}`);
      });
    }, ms);
    this.timers.add(timer);
  }

  private async cutOff(workers: ReadonlySet<number>, ms: number): Promise<void> {
    // By now another program may have the pid of one that ended by itself.
    const left = [...(await this.workers())].filter(pid => workers.has(pid));
    if (left.length === 0) return;
    // nginx alerts of each socket that is open then.
    this.options.say(`not done after ${ms} ms and cut off: worker ${left.join(', ')} of nginx`);
    for (const pid of left) terminate(pid);
  }

  private async untilListening(listen: Listen): Promise<void> {
    const limit = Date.now() + UP_MS;
    while (!(await accepts(listen))) {
      if (!this.child) throw new UserError('nginx ended as it started. Its own words are in the output.');
      if (Date.now() >= limit) throw new UserError(`nginx does not listen on ${listen.port} within ${UP_MS / 1000} s.`);
      await delay(LOOK_MS);
    }
  }

  /** Until there are new workers, and the old ones have stopped to accept. */
  private async untilReloaded(before: ReadonlySet<number>): Promise<void> {
    const limit = Date.now() + RELOAD_MS;
    while (this.child && ![...(await this.workers())].some(pid => !before.has(pid))) {
      if (Date.now() >= limit) throw new UserError('nginx did not take its new configuration. Look at its output.');
      await delay(LOOK_MS);
    }
    await delay(SETTLE_MS);
  }

  private ended(child: ChildProcess, how: string, resolve: () => void): void {
    resolve();
    if (this.child !== child) return;
    this.child = undefined;
    this.options.onLost(`nginx ended by itself (${how}). Its own words are in the output.`);
  }
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has just ended by itself.
  }
}

/** Rejects with the system's error where the port cannot be had. */
function canListen({ host, port }: Listen): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => server.close(() => resolve()));
  });
}

function accepts({ host, port }: Listen): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
