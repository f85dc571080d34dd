import { type Clock, untilAborted } from '../base/async.ts';
import { isCancelled } from '../base/errors.ts';
import type { HealthCheck } from '../model/health-history.ts';
import { joinOrigins, ORIGINS_VARIABLE } from '../model/origins.ts';
import type { Port } from '../model/port.ts';
import { type Exit, httpUrl, type RunSpec } from '../model/service.ts';
import { substitute } from '../model/variables.ts';
import { canBind } from '../ports/probe.ts';
import { type Child, type ChildEnd, startChild } from './child.ts';
import { LineWatch } from './line-watch.ts';
import { untilUnfit } from './liveness.ts';
import type { OutputLog, ProcessOutput } from './output.ts';
import { identify, type ProcessIdentity } from './processes.ts';
import { type HealthCadence, untilReady, type Watched } from './readiness.ts';
import { GENERATION_MARKER, RUN_MARKER } from './record.ts';
import { HUNG_STEPS, type ServiceProcesses, stopSteps } from './service-processes.ts';

/** What becomes of an attempt while it lasts. */
export interface AttemptEvents {
  /** There is a process; it is watched once this has settled. */
  onStarted(identity: ProcessIdentity): Promise<void>;
  /** `url`: where it is called, if it speaks HTTP. */
  onHealthy(url: string | undefined): void;
  onUnhealthy(reason: string): void;
  onRecovered(): void;
  /** It has ended or is to end; what is left of it is ended now. */
  onEnding(exit: Exit | undefined): void;
}

export interface AttemptOptions {
  readonly spec: RunSpec;
  /** The leased port. */
  readonly port: Port | undefined;
  readonly marker: string;
  /** Tells its processes from those of the generation before or after it. */
  readonly generation: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly output: OutputLog;
  readonly onOutput: (chunk: Buffer) => void;
  readonly processes: ServiceProcesses;
  readonly clock: Clock;
  readonly cadence: HealthCadence;
  readonly events: AttemptEvents;
  readonly onCheck: (check: HealthCheck) => void;
}

export type AttemptEnd =
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'exited'; readonly exit: Exit }
  | { readonly kind: 'hung'; readonly reason: string }
  /** A stranger has the port. */
  | { readonly kind: 'portTaken' }
  /** Trying again is of no use. */
  | { readonly kind: 'impossible'; readonly message: string };

export interface AttemptResult {
  readonly end: AttemptEnd;
  readonly healthyForMs: number;
}

/** So many lines tell the cause of nearly all failures. */
export const LAST_LINES = 20;

/** One process of a service, from its start to its grave. Whatever happens, none of its processes is left behind. */
export class Attempt {
  private readonly lines = new LineWatch();
  private readonly output: ProcessOutput;
  private healthySince: number | undefined;
  private watchedUntil = 0;

  constructor(private readonly options: AttemptOptions) {
    this.output = options.output.ofProcess();
  }

  /** What the process wrote last, for whoever has to say why it failed. */
  get lastLines(): readonly string[] {
    return this.output.last(LAST_LINES);
  }

  async run(signal: AbortSignal): Promise<AttemptResult> {
    try {
      return await this.runProcess(signal);
    } finally {
      this.output.end();
    }
  }

  private async runProcess(signal: AbortSignal): Promise<AttemptResult> {
    const child = await this.spawn();
    const { pid } = child;
    if (pid === undefined) return { end: await notStarted(child), healthyForMs: 0 };
    // One that ended at once has no identity any more, but may have left others behind.
    const identity = (await identify(pid)) ?? { pid, startedAt: '' };
    let end: AttemptEnd | undefined;
    try {
      await this.options.events.onStarted(identity);
      end = await this.watch(child, pid, signal);
      this.watchedUntil = this.options.clock.now();
    } finally {
      await this.bury(identity, end);
    }
    return { end: await this.explain(end), healthyForMs: this.healthyForMs() };
  }

  private healthyForMs(): number {
    return this.healthySince === undefined ? 0 : this.watchedUntil - this.healthySince;
  }

  private spawn(): Promise<Child> {
    const { spec, port, environment, marker, generation, onOutput } = this.options;
    const fill = (template: string): string =>
      substitute(template, { node: process.execPath, ...(port === undefined ? {} : { port }) });
    const command = spec.command!.map(fill);
    const env: NodeJS.ProcessEnv = { ...environment };
    for (const [name, value] of Object.entries(spec.env)) env[name] = fill(value);
    // Only now it is seen whether the user's own origins have the very port that was leased.
    const origins = spec.env[ORIGINS_VARIABLE];
    if (origins !== undefined) env[ORIGINS_VARIABLE] = joinOrigins(fill(origins), []);
    env[RUN_MARKER] = marker;
    env[GENERATION_MARKER] = generation;
    // The editor's own binary is a Node only when told so; anything else must not inherit that.
    if (process.versions['electron'] && command[0] === process.execPath) env['ELECTRON_RUN_AS_NODE'] = '1';
    return startChild({
      command,
      cwd: spec.cwd,
      env,
      tty: spec.tty,
      onOutput: (chunk, stream) => {
        onOutput(chunk);
        this.lines.push(this.output.append(chunk, stream));
      },
    });
  }

  /** Follows the live process until it ends, hangs, turns out not to have its port, or is interrupted. */
  private async watch(child: Child, pid: number, signal: AbortSignal): Promise<AttemptEnd> {
    const { spec, port, processes, clock, cadence, onCheck } = this.options;
    const over = new AbortController();
    const watching = AbortSignal.any([signal, over.signal]);
    const { lines } = this;
    const watched: Watched = { spec, pid, port, lines, processes, clock, cadence, onCheck, signal: watching };
    try {
      return await Promise.race([child.ended.then(endOf), this.follow(watched), untilAborted(watching)]);
    } catch (error) {
      if (isCancelled(error)) return { kind: 'interrupted' };
      throw error;
    } finally {
      over.abort();
    }
  }

  private async follow(watched: Watched): Promise<AttemptEnd> {
    const ready = await untilReady(watched);
    if (ready.kind === 'timeout') return { kind: 'impossible', message: ready.reason };
    if (ready.kind === 'portTaken') return ready;
    const url = await this.urlOf(watched, ready.listens);
    if (watched.signal.aborted) return { kind: 'interrupted' };
    this.healthySince = this.options.clock.now();
    this.options.events.onHealthy(url);
    return untilUnfit(watched, this.options.events);
  }

  private async urlOf(
    { spec, pid, port, processes }: Watched,
    listens: boolean | undefined,
  ): Promise<string | undefined> {
    if (port === undefined || spec.readiness.kind === 'postgres') return undefined;
    return (listens ?? (await processes.listensOn(pid, port))) ? httpUrl(spec.host, port) : undefined;
  }

  /** Ends what is left, and waits until the port is really let go of. */
  private async bury(identity: ProcessIdentity, end: AttemptEnd | undefined): Promise<void> {
    const { spec, port, processes, events } = this.options;
    events.onEnding(end?.kind === 'exited' ? end.exit : undefined);
    const steps = end?.kind === 'hung' ? HUNG_STEPS : stopSteps(spec.stopTimeoutMs);
    await processes.end(identity, steps, true);
    if (port !== undefined) await processes.untilReleased(port);
  }

  /** An exit because somebody else has the port is a lost race, not a crash. */
  private async explain(end: AttemptEnd): Promise<AttemptEnd> {
    const { port } = this.options;
    if (end.kind !== 'exited' || port === undefined || (await canBind(port))) return end;
    return { kind: 'portTaken' };
  }
}

const endOf = (end: ChildEnd): AttemptEnd =>
  end.kind === 'exit' ? { kind: 'exited', exit: end.exit } : { kind: 'impossible', message: end.message };

async function notStarted(child: Child): Promise<AttemptEnd> {
  const end = await child.ended;
  return {
    kind: 'impossible',
    message: end.kind === 'notStarted' ? end.message : 'The process could not be started.',
  };
}
