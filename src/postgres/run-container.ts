import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { delay } from '../base/async.ts';
import { CancelledError, UserError } from '../base/errors.ts';
import { type PostgresConfig, loopbackOf } from './config.ts';
import { ContainerEngine, lastLine } from './container-engine.ts';
import { Container, stopArguments } from './container.ts';
import { createDatabase, initialiseDatabase } from './initialise.ts';
import { type Credentials, probePostgres, tryCredentials } from './probe.ts';
import { AddressInUseError, type ServerExit } from './server.ts';

export interface RunContainerOptions {
  readonly config: PostgresConfig;
  readonly tell: (line: string) => void;
  /** Aborted = asked to stop. */
  readonly signal: AbortSignal;
}

const POLL_MS = 100;
const LAST_WORDS_MS = 1_000;

/**
 * Runs PostgreSQL in its container until that ends, by itself or because it was asked to. Its output is ours. The
 * container is stopped with this process, also when that is killed, and started again by the next; its data is kept.
 */
export async function runContainer({ config, tell, signal }: RunContainerOptions): Promise<ServerExit> {
  const { docker, host, port } = config;
  const engine = docker?.program ? new ContainerEngine(docker.program) : await ContainerEngine.find();
  const credentials = { ...config, host: loopbackOf(host) ?? '127.0.0.1' };
  const container = new Container({ engine, image: docker?.image ?? '', credentials });
  await engine.assertReachable(signal);
  const run = new ContainerRun(engine, container, { port, tell });
  if (signal.aborted) throw new CancelledError();
  const stop = (): void => void run.stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await run.start(credentials, signal);
    const ended = run.untilEnd();
    await Promise.race([ended, untilUsable(credentials, { config, container, tell, signal })]);
    return await ended;
  } catch (error) {
    await run.stop();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    run.dispose();
  }
}

/** The container for as long as this process looks after it. */
class ContainerRun {
  private watch: ChildProcess | undefined;
  private starting: Promise<unknown> | undefined;
  private stopping: Promise<unknown> | undefined;
  private startedAt = '';

  constructor(
    private readonly engine: ContainerEngine,
    private readonly container: Container,
    private readonly options: { readonly port: number; readonly tell: (line: string) => void },
  ) {}

  async start(credentials: Credentials, signal: AbortSignal): Promise<void> {
    const { engine, container } = this;
    const { tell } = this.options;
    this.watch = this.watchOver();
    const found = await container.inspectOurs(signal);
    if (found?.isRunning) {
      tell(`The container ${container.name} runs already`);
      this.startedAt = found.startedAt;
      return;
    }
    await assertFree(credentials, signal);
    const volume = await container.ensureCreated(signal);
    tell(`Starting PostgreSQL in the container ${container.name}, with the data in the volume ${volume}`);
    const starting = engine.call(['start', container.name], { isUndisturbed: true });
    this.starting = starting;
    const { ok, stderr } = await starting;
    if (!ok) throw startFailure(container.name, lastLine(stderr));
    this.startedAt = (await container.inspect())?.startedAt ?? '';
  }

  stop(): Promise<unknown> {
    return (this.stopping ??= this.stopOnce());
  }

  private async stopOnce(): Promise<void> {
    // One that comes up after it was stopped would stay.
    await this.starting;
    await this.engine.call(stopArguments(this.options.port), { limitMs: 0, isUndisturbed: true });
  }

  /** Shows what the server says, and answers with its exit. */
  async untilEnd(): Promise<ServerExit> {
    const logs = this.showOutput();
    for (;;) {
      // It may be killed, or its daemon go away: only the container's own state counts.
      await this.engine.call(['wait', this.container.name], { limitMs: 0 });
      await this.stopping;
      const state = await this.container.inspect();
      if (state?.isRunning) {
        await delay(POLL_MS);
        continue;
      }
      // Its last words are on their way.
      await Promise.race([once(logs, 'close'), delay(LAST_WORDS_MS)]);
      logs.kill();
      return { code: state?.exitCode ?? 1, signal: null };
    }
  }

  private showOutput(): ChildProcess {
    const since = this.startedAt === '' ? [] : ['--since', this.startedAt];
    const logs = spawn(this.engine.program, ['logs', '--follow', ...since, this.container.name], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    logs.on('error', () => undefined);
    return logs;
  }

  /** The container has ended, or is to be left as it is. */
  dispose(): void {
    this.watch?.kill('SIGKILL');
  }

  /**
   * Stops the container when this process is killed with no chance to do it itself: the shell waits for the end of a
   * pipe that only we hold. In a session of its own, so that it outlives a kill of our process group.
   */
  private watchOver(): ChildProcess | undefined {
    if (process.platform === 'win32') return undefined;
    const script = 'trap "" INT TERM HUP; read -r line; "$@" >/dev/null 2>&1';
    const stop = [this.engine.program, ...stopArguments(this.options.port)];
    const watch = spawn('/bin/sh', ['-c', script, 'helix-postgres-watch', ...stop], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    watch.on('error', () => undefined);
    watch.unref();
    return watch;
  }
}

function startFailure(name: string, said: string): UserError {
  if (/already allocated|already in use|ports are not available|bind/i.test(said)) {
    return new AddressInUseError(
      `EADDRINUSE: ${said}. Set POSTGRES_PORT in .env to a free port, or stop what is there.`,
    );
  }
  return new UserError(`The container ${name} could not be started: ${said}.`);
}

async function assertFree({ host, port }: Credentials, signal: AbortSignal): Promise<void> {
  if ((await probePostgres({ host, port, signal })) === 'closed') return;
  throw new AddressInUseError(
    `EADDRINUSE: ${host}:${port} is taken by another program. Set POSTGRES_PORT in .env to a free port, or stop it.`,
  );
}

interface UseOptions extends RunContainerOptions {
  readonly container: Container;
}

/**
 * Resolves once role and database are there. The engine takes connections from the start and drops them until the
 * server listens, which it does not while it fills a new volume: how long that may take is the supervisor's to say.
 */
async function untilUsable(credentials: Credentials, { config, container, tell, signal }: UseOptions): Promise<void> {
  const { host, port, database, user } = credentials;
  for (;;) {
    if (signal.aborted) return;
    const result = await tryCredentials(credentials);
    if (signal.aborted) return;
    switch (result.kind) {
      case 'ok':
        if (config.initSql !== undefined && (await initialiseDatabase(credentials, config.initSql))) {
          tell(`Filled the new database ${database} from ${config.initSql}`);
        }
        tell(`PostgreSQL is ready: ${result.version} on ${host}:${port}, database ${database}, in ${container.name}`);
        return;
      case 'no-database':
        await createDatabase(credentials);
        tell(`Created the database ${database}`);
        break;
      case 'starting':
      case 'gone':
        await delay(POLL_MS);
        break;
      case 'wrong-password':
      case 'no-role':
        throw new UserError(
          `The data of ${container.name} knows the role ${user} with another password, or not at all. Set POSTGRES_USER and ` +
            'POSTGRES_PASSWORD in .env as they were when it was made, or POSTGRES_PORT to another port for new data.',
        );
      case 'error':
        throw new UserError(`PostgreSQL runs in ${container.name} but refuses the connection: ${result.message}`);
    }
  }
}
