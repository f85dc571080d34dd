import { type Clock, delay, throwIfAborted } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import type { HealthCheck } from '../model/health-history.ts';
import type { Port } from '../model/port.ts';
import type { RunSpec } from '../model/service.ts';
import { canBind } from '../ports/probe.ts';
import { callableHost, check, type CheckResult, type FailedCheck, type NetworkReadiness } from './health.ts';
import type { LineWatch } from './line-watch.ts';
import type { PortListener, ServiceProcesses } from './service-processes.ts';

/** How often and how patiently a service is looked at. */
export interface HealthCadence {
  /** While it starts: the first pause between two checks, and the longest that it grows to. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** While it is healthy: from one check to the next. */
  readonly steadyMs: number;
  /** The same after a check that was not answered: sooner, because a hung service is of no use to anybody. */
  readonly suspectMs: number;
  /** With so many checks, it is looked whether the listener is still ours: a look costs ten times as much. */
  readonly ownerEvery: number;
  readonly timeoutMs: number;
  /** So many checks in a row without an answer, and the service is hung. */
  readonly misses: number;
  /** A wrong answer (a database that is away) is no reason to restart by itself, unless it lasts that long. */
  readonly wrongLimitMs: number;
}

export const HEALTH_CADENCE: HealthCadence = {
  firstMs: 50,
  longestMs: 1_000,
  steadyMs: 2_000,
  suspectMs: 1_000,
  ownerEvery: 5,
  timeoutMs: 1_500,
  misses: 3,
  wrongLimitMs: 60_000,
};

/** One process of a service while it is watched. */
export interface Watched {
  readonly spec: RunSpec;
  readonly pid: number;
  readonly port: Port | undefined;
  readonly lines: LineWatch;
  readonly processes: ServiceProcesses;
  readonly clock: Clock;
  readonly cadence: HealthCadence;
  /** Aborts when the process has ended or is to end; every wait rejects then. */
  readonly signal: AbortSignal;
  /** Told of every check over the network. */
  readonly onCheck?: (check: HealthCheck) => void;
}

export type ReadyOutcome =
  /** `listens`: it was seen to listen on its port, or not to; undefined where nobody looked. */
  | { readonly kind: 'ready'; readonly listens?: boolean }
  | { readonly kind: 'portTaken' }
  | { readonly kind: 'timeout'; readonly reason: string };

const READY: ReadyOutcome = { kind: 'ready' };
const GROWTH = 1.3;

/** Waits until the process is ready as its definition says, or can no longer become so. */
export async function untilReady(watched: Watched): Promise<ReadyOutcome> {
  const { spec, clock, signal } = watched;
  const { readiness } = spec;
  const deadline = clock.now() + spec.readyTimeoutMs;
  switch (readiness.kind) {
    case 'alive':
      await delay(readiness.seconds * 1000, signal, clock);
      return READY;
    case 'log':
      return untilLine(watched, readiness.pattern, deadline);
    case 'postgres': {
      if (readiness.pattern === undefined) return untilAnswers(watched, readiness, deadline);
      // Whoever prints it has logged in itself a moment ago; only whose server that is has still to be seen.
      const said = await untilLine(watched, readiness.pattern, deadline);
      if (said.kind !== 'ready') return said;
      return (await isStrangers(watched, requiredPort(watched))) ? { kind: 'portTaken' } : READY;
    }
    default:
      return untilAnswers(watched, readiness, deadline);
  }
}

async function untilLine(watched: Watched, pattern: string, deadline: number): Promise<ReadyOutcome> {
  const { spec, lines, clock, signal } = watched;
  const expression = new RegExp(pattern);
  while (!lines.some(expression)) {
    const left = deadline - clock.now();
    if (left <= 0) {
      return {
        kind: 'timeout',
        reason: `${spec.label} printed no line that matches /${pattern}/ within ${seconds(spec)}.`,
      };
    }
    await lines.nextOr(left, signal, clock);
  }
  return READY;
}

/** Fast while starting, and at once whenever the service says something. */
async function untilAnswers(watched: Watched, readiness: NetworkReadiness, deadline: number): Promise<ReadyOutcome> {
  const { lines, clock, cadence, signal } = watched;
  const port = requiredPort(watched);
  for (let pause = cadence.firstMs; ; pause = Math.min(cadence.longestMs, pause * GROWTH)) {
    const result = await checkPort(watched, readiness, port);
    throwIfAborted(signal);
    const listener = await listenerOn(watched, port, result);
    if (listener === 'stranger') return { kind: 'portTaken' };
    if (result.ok) return { kind: 'ready', listens: listener === 'ours' };
    if (clock.now() >= deadline) return { kind: 'timeout', reason: await whyNotReady(watched, port, result) };
    await lines.nextOr(pause, signal, clock);
  }
}

/** Who has the port. Where it is a stranger, whatever it answers is not our service's answer. */
async function listenerOn(watched: Watched, port: Port, result: CheckResult): Promise<PortListener> {
  const { pid, lines, processes } = watched;
  const nobodyListens = !result.ok && result.failure === 'refused';
  if (!nobodyListens) {
    const listener = isInContainer(watched) ? 'unknown' : await processes.listenerOn(pid, port);
    // Only where there is another port to go to, and only before anybody was told of this one.
    const canMove = listener === 'ours' && watched.spec.port.kind === 'band';
    return canMove && (await processes.shareWithStranger(pid, port)) ? 'stranger' : listener;
  }
  // Bound by a stranger that does not listen. Our service said so, and goes on without its port.
  const isBound = lines.sawAddressInUse && !(await processes.listensOn(pid, port)) && !(await canBind(port));
  return isBound ? 'stranger' : 'unknown';
}

/** Whether who listens is none of the service's processes, although it has to be one. */
export async function isStrangers(watched: Watched, port: Port): Promise<boolean> {
  return !isInContainer(watched) && (await watched.processes.listenerOn(watched.pid, port)) === 'stranger';
}

const isInContainer = ({ spec: { readiness } }: Watched): boolean =>
  readiness.kind === 'postgres' && readiness.listener === 'container';

async function whyNotReady({ spec, pid, processes }: Watched, port: Port, last: FailedCheck): Promise<string> {
  const ports = await processes.listeningPorts(pid);
  if (ports.has(port) && last.failure === 'refused') {
    const addresses = await processes.addressesOn(pid, port);
    return (
      `${spec.label} listens on ${port} at ${addresses.join(' and ')}, and is called at ${callableHost(spec.host)}. ` +
      'Make it listen there: many programs take "--host", "${host}" in their command.'
    );
  }
  if (ports.has(port)) return `${spec.label} is not healthy on ${port} within ${seconds(spec)}: ${last.reason}.`;
  if (ports.size > 0) {
    return (
      `${spec.label} was assigned ${port} but listens on ${[...ports].join(', ')}. ` +
      'Make it take its port from the environment, or put "${port}" into its command.'
    );
  }
  return `${spec.label} never listened on ${port} within ${seconds(spec)}. Look at its output, or raise "timeoutSeconds".`;
}

/** Every check goes through here, and so none is missing from the history. */
export async function checkPort(
  { spec, cadence, clock, signal, onCheck }: Pick<Watched, 'spec' | 'cadence' | 'clock' | 'signal' | 'onCheck'>,
  readiness: NetworkReadiness,
  port: Port,
): Promise<CheckResult> {
  const at = clock.now();
  const started = performance.now();
  const result = await check(readiness, { host: spec.host, port, timeoutMs: cadence.timeoutMs });
  // What a service answers while it is being ended says nothing about its health.
  if (!signal.aborted)
    onCheck?.(
      result.ok
        ? { at, port, latencyMs: result.latencyMs, outcome: 'ok' }
        : { at, port, latencyMs: performance.now() - started, outcome: result.failure, reason: result.reason },
    );
  return result;
}

export function requiredPort({ spec, port }: Pick<Watched, 'spec' | 'port'>): Port {
  if (port !== undefined) return port;
  throw new UserError(
    `${spec.label} has no port on which it could be checked. Give it a "port", or a "readiness" that needs none.`,
  );
}

const seconds = (spec: RunSpec): string => `${Math.round(spec.readyTimeoutMs / 1000)} s`;
