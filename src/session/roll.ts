import { untilAborted } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import type { PlannedService } from '../model/plan.ts';
import { groupOf } from '../model/replicas.ts';
import { isRunning, type ServiceId } from '../model/service.ts';
import type { RollOutcome } from '../run/rolling.ts';
import { settle } from './bring-up.ts';
import type { ServiceFailure, StartOptions, StartOutcome } from './outcomes.ts';
import { specFor } from './spec-for.ts';
import type { StackContext } from './start-run.ts';

/** How one service came out: it was rolled, or restarted plainly for this reason, or it failed. */
type Rolled = { readonly note?: string } | { readonly failure: ServiceFailure } | { readonly lost: true };

/** The services to be rolled one after another: all replicas where the first is named, else the one. */
export function membersOf(context: StackContext, id: ServiceId): readonly PlannedService[] {
  const { plan, roster } = context;
  const service = plan.services.find(one => one.id === id);
  if (!service) throw new UserError(`There is no service ${id} in ${plan.source}.`);
  if (service.kind === 'proxy') {
    throw new UserError(
      `${service.label} is what makes a rolling restart possible, and cannot have one. Restart it plainly.`,
    );
  }
  const snapshot = roster.get(id)?.snapshot;
  if (snapshot?.external) {
    throw new UserError(
      `${service.label} was running before HELIX and is not ours to restart. Restart it where it was started.`,
    );
  }
  const group = service.replicaOf === undefined ? plan.services.filter(one => groupOf(one) === id) : [service];
  return group.filter(one => one.id === id || isUp(context, one.id));
}

const isUp = ({ roster }: StackContext, id: ServiceId): boolean => {
  const state = roster.get(id)?.snapshot.state;
  return state !== undefined && isRunning(state);
};

export interface RollOptions extends Omit<StartOptions, 'only'> {
  /** Settles as soon as each new process is the service, and not only once the one before is gone. */
  readonly untilSwitched?: boolean;
}

/**
 * Restarts one service beside itself. @throws {CancelledError} when `signal` aborts; its supervisor goes on with it
 */
export async function rollOne(
  context: StackContext,
  service: PlannedService,
  { signal, untilSwitched = false }: Pick<RollOptions, 'untilSwitched'> & { readonly signal: AbortSignal },
): Promise<Rolled> {
  const { roster } = context;
  const link = roster.get(service.id);
  if (!link) return { lost: true };
  const spec = service.kind === 'postgres' ? undefined : await specFor(context, service, signal);
  let outcome: RollOutcome | undefined;
  const ask = async (): Promise<void> => {
    outcome = await Promise.race([link.roll({ ...(spec && { spec }), untilSwitched }), untilAborted(signal)]);
  };
  const settled = await settle(link, service, { roster, signal, ask });
  if (settled.kind === 'lost' || !outcome) return { lost: true };
  const problem = outcome.kind === 'failed' ? outcome.problem : settled.kind === 'failed' ? settled.problem : undefined;
  if (problem) return { failure: { service: link.snapshot, problem, skipped: [] } };
  return outcome.kind === 'restarted' ? { note: `Restarted plainly: ${outcome.reason}.` } : {};
}

/** A rolling restart, and what is worth telling of it. */
export interface RollingOutcome {
  readonly outcome: StartOutcome;
  readonly notes: readonly string[];
}
