import { type Clock, delay } from '../base/async.ts';
import { isCancelled, messageOf, UserError } from '../base/errors.ts';
import type { Problem, RunSpec, ServiceSnapshot } from '../model/service.ts';
import type { AttemptEnd } from './attempt.ts';
import { BindRace } from './bind-race.ts';
import type { Fronts } from './fronts.ts';
import type { Generation } from './generation.ts';

export type RollOutcome =
  | { readonly kind: 'rolled' }
  /** It could not be rolled, and was restarted plainly. */
  | { readonly kind: 'restarted'; readonly reason: string }
  /** The one before goes on. */
  | { readonly kind: 'failed'; readonly problem: Problem }
  /** Stopped or restarted by somebody else meanwhile. */
  | { readonly kind: 'superseded' };

/** How a rolling restart came out, which is known as soon as the new process has taken over, or will not. */
export interface Succession {
  readonly outcome: RollOutcome;
  /** What remains to be done where it took over. */
  readonly retirement?: Retirement;
}

/** Callers that come directly, not through a proxy, get so long to find the new port. */
const DIRECT_DRAIN_MS = 500;
/** The proxy itself cuts off what is open at the limit; it is given this to say so. */
const LIMIT_MARGIN_MS = 2_000;
export const DEFAULT_DRAIN_MS = 30_000;

/** Why this service cannot have two generations side by side; undefined when it can. */
export function whyNotRolling(spec: RunSpec, { state, label }: ServiceSnapshot): string | undefined {
  if (!spec.command) return `${label} is not ours to restart`;
  if (spec.port.kind === 'none') return `${label} has no port, so nobody could be sent from one to the other`;
  if (spec.port.kind === 'fixed') return `${label} has the fixed port ${spec.port.port}, which only one can have`;
  if (spec.tty) return `${label} has the terminal to itself ("tty")`;
  if (state.kind !== 'healthy' && state.kind !== 'unhealthy') return `${label} was not healthy`;
  return undefined;
}

/** What a rolling restart does to its supervisor. */
export interface RollHost {
  readonly clock: Clock;
  readonly fronts: Fronts;
  readonly say: (line: string) => void;
  /** Leases a port and begins a process beside the present one; settles `healthy` once it is. */
  begin(spec: RunSpec, race: BindRace, signal: AbortSignal): Promise<Begun>;
  /** From now on the new one is the service, and the one before retires. */
  switchTo(next: Generation): Promise<Retirement>;
  /** Ends the one that was to come, if there is one. */
  giveUp(): Promise<void>;
  /** The one before has ended. */
  retired(retirement: Retirement): Promise<void>;
}

export interface Begun {
  readonly generation: Generation;
  readonly healthy: Promise<void>;
  readonly ended: Promise<AttemptEnd>;
}

/** New beside old, healthy, switch. Whatever becomes of the new one before that, the old one is not touched. */
export async function succeed(host: RollHost, spec: RunSpec, signal: AbortSignal): Promise<Succession> {
  for (let race = new BindRace(); ;) {
    try {
      const begun = await host.begin(spec, race, signal);
      const end = await Promise.race([begun.healthy, begun.ended]);
      if (!end && !signal.aborted)
        return { outcome: { kind: 'rolled' }, retirement: await host.switchTo(begun.generation) };
      await host.giveUp();
      if (signal.aborted || end?.kind === 'interrupted') return SUPERSEDED;
      if (end?.kind !== 'portTaken') return failed(reasonOf(end!), begun.generation);
      race = race.lost(begun.generation.lease!.port, host.clock.now());
      if (race.isOver) return failed(race.message(spec.id), begun.generation);
    } catch (error) {
      await host.giveUp();
      if (isCancelled(error) || signal.aborted) return SUPERSEDED;
      if (error instanceof UserError) return failed(error.message);
      throw error;
    }
  }
}

/** How long there is to wait for an old one. */
export interface DrainOptions {
  /** As it is set now: the old one's own spec may say something else. */
  readonly drainMs: number | undefined;
  readonly signal: AbortSignal;
  /** When it aborts, proxies are not waited for any more, but direct callers are. */
  readonly haste?: AbortSignal;
}

/** A process that was the service, until it is gone: nobody has anything open to it, or its limit is over, and it ends. */
export class Retirement {
  readonly pid: number | undefined;
  readonly over: Promise<void>;
  private readonly haste = new AbortController();

  constructor(
    private readonly host: RollHost,
    readonly generation: Generation,
    options: Omit<DrainOptions, 'haste'>,
  ) {
    this.pid = generation.child?.pid;
    this.over = this.run(options);
    // It may be that nobody waits for it.
    this.over.catch((error: unknown) => host.say(messageOf(error)));
  }

  /** What proxies still have open to it is not waited for any more. */
  hasten(): void {
    this.haste.abort();
  }

  private async run(options: Omit<DrainOptions, 'haste'>): Promise<void> {
    const { host, generation, pid, haste } = this;
    await untilDrained(host, generation, { ...options, haste: haste.signal });
    host.say(`ending the process before${pid === undefined ? '' : ` (pid ${pid})`}`);
    await generation.end().finally(() => host.retired(this));
  }
}

/** Waits until no proxy has anything open to this process, or it has ended, or the limit is over. */
export async function untilDrained(
  host: RollHost,
  old: Generation,
  { drainMs = DEFAULT_DRAIN_MS, signal, haste = signal }: DrainOptions,
): Promise<void> {
  const { clock, fronts } = host;
  const pid = old.child?.pid;
  if (pid === undefined) return;
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  const finish = (): void => over.abort();
  const limit = clock.setTimeout(finish, drainMs + LIMIT_MARGIN_MS);
  void old.ended.then(finish, finish);
  const direct = delay(DIRECT_DRAIN_MS, until, clock).catch(() => undefined);
  await Promise.all([fronts.untilDrained(pid, AbortSignal.any([until, haste])), direct]);
  clock.clearTimeout(limit);
}

export const SUPERSEDED: Succession = { outcome: { kind: 'superseded' } };

/** The one before writes to the same log, so the lines are the new process's own. */
function failed(message: string, next?: Generation): Succession {
  return { outcome: { kind: 'failed', problem: { message, lastLines: next?.lastLines ?? [] } } };
}

function reasonOf(end: AttemptEnd): string {
  switch (end.kind) {
    case 'exited':
      return end.exit.signal
        ? `the new one was ended by ${end.exit.signal}`
        : `the new one exited with code ${end.exit.code ?? 'unknown'}`;
    case 'hung':
      return end.reason;
    case 'impossible':
      return end.message;
    default:
      return messageOf(end.kind);
  }
}
