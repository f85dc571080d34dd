import { randomUUID } from 'node:crypto';
import type { RunSpec, ServiceSnapshot } from '../model/service.ts';
import type { Lease } from '../ports/lease.ts';
import { Attempt, type AttemptEvents, type AttemptOptions, type AttemptResult } from './attempt.ts';
import type { ProcessIdentity } from './processes.ts';
import { GENERATION_MARKER } from './record.ts';
import { ServiceProcesses } from './service-processes.ts';

export interface GenerationOptions extends Omit<AttemptOptions, 'port' | 'generation' | 'processes' | 'events'> {
  readonly lease: Lease | undefined;
  readonly say: (line: string) => void;
  /** Ends it, when it aborts. */
  readonly signal: AbortSignal;
}

/** What the snapshot tells of one generation. */
export type GenerationFacts = Pick<ServiceSnapshot, 'pid' | 'startedAt' | 'url'>;

/**
 * One process of the service with the port that it was given. Mostly there is one; a rolling restart has two of them
 * side by side, and each ends nothing but what is its own.
 */
export class Generation {
  readonly spec: RunSpec;
  readonly lease: Lease | undefined;
  /** Known until it is gone for certain: should this process be killed meanwhile, somebody has to end it. */
  child: ProcessIdentity | undefined;
  isEnding = false;
  facts: GenerationFacts = {};
  private readonly over = new AbortController();
  private attempt: Attempt | undefined;
  private running: Promise<AttemptResult> | undefined;
  private leave: () => void = () => undefined;
  /** Another one has taken its place. */
  readonly replaced = new Promise<undefined>(resolve => (this.leave = () => resolve(undefined)));

  constructor(private readonly options: GenerationOptions) {
    this.spec = options.spec;
    this.lease = options.lease;
  }

  /** Runs until it ends or is ended; never rejects once it runs but for defects. */
  run(events: AttemptEvents): Promise<AttemptResult> {
    const { lease, signal, say, ...options } = this.options;
    const generation = randomUUID();
    const processes = new ServiceProcesses({
      marker: generation,
      variable: GENERATION_MARKER,
      say,
      clock: options.clock,
    });
    const attempt = new Attempt({ ...options, port: lease?.port, generation, processes, events });
    this.attempt = attempt;
    this.running = attempt.run(AbortSignal.any([signal, this.over.signal])).finally(() => (this.child = undefined));
    return this.running;
  }

  get ended(): Promise<AttemptResult | undefined> {
    return this.running ?? Promise.resolve(undefined);
  }

  /** What its process wrote last. */
  get lastLines(): readonly string[] {
    return this.attempt?.lastLines ?? [];
  }

  replace(): void {
    this.leave();
  }

  /** Ends it and gives its port back. */
  async end(): Promise<void> {
    this.over.abort();
    await this.running?.catch(() => undefined);
    await this.lease?.release();
  }
}
