import type { Plan, PlannedService } from '../model/plan.ts';
import type { Interpreter } from '../model/python.ts';
import type { Problem, RunSpec, ServiceId, ServiceSnapshot, StackSnapshot } from '../model/service.ts';

/** How supervisors come into being: in an editor's terminals, or as processes of the command line. */
export interface Launcher {
  /** Starts this service's supervisor; its connection is waited for elsewhere. */
  launch(service: Pick<PlannedService, 'id' | 'label'>, args: readonly string[]): Promise<Launched>;
}

/** A supervisor's process, which may not be one that can be talked to yet. */
export interface Launched {
  /** Settles when the process is gone, as far as its launcher is told; never rejects. */
  readonly ended: Promise<unknown>;
}

/** What PostgreSQL needs to be told apart from a plain process: who answers already, and which binaries there are. */
export interface PostgresProvider {
  /** The spec to run, or to watch where one is reused. Throws a `UserError` when neither is possible. */
  prepare(service: PlannedService, plan: Plan, signal: AbortSignal): Promise<RunSpec>;
  /** Whether a server answers that can be used as it is, waiting for one that another workspace is starting. Only looks. */
  isReusable(service: PlannedService, plan: Plan, signal: AbortSignal): Promise<boolean>;
  /** How many others are connected to this server, which is about to be stopped. */
  otherClients(service: PlannedService, plan: Plan): Promise<number>;
}

/** The Python that a plan's services run with, as it is now: environments are made, chosen and removed meanwhile. */
export type PythonProvider = (plan: Plan) => Promise<Interpreter>;

export interface StartProgress {
  readonly ready: number;
  readonly total: number;
  /** The service that is waited for. */
  readonly waitingFor: ServiceSnapshot;
}

export interface StartOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: StartProgress) => void;
  /** Only these services and what they depend on. */
  readonly only?: readonly ServiceId[];
  /** When it was asked for, in ms since the epoch; the time of the call by default. A stop that was asked for since wins. */
  readonly askedAt?: number;
}

export interface ServiceFailure {
  readonly service: ServiceSnapshot;
  readonly problem: Problem;
  /** Services that were not started because of it. */
  readonly skipped: readonly ServiceId[];
}

export type StartOutcome =
  | { readonly kind: 'started'; readonly snapshot: StackSnapshot }
  | { readonly kind: 'alreadyRunning'; readonly snapshot: StackSnapshot }
  | { readonly kind: 'failed'; readonly failures: readonly ServiceFailure[]; readonly snapshot: StackSnapshot }
  | { readonly kind: 'cancelled' };

export interface StopOutcome {
  /** Services that were left running, with the reason. */
  readonly left: readonly { readonly id: ServiceId; readonly reason: string }[];
}
