import type { ErrorAction } from '../base/errors.ts';
import type { PlannedService } from '../model/plan.ts';
import type { Problem, ServiceId } from '../model/service.ts';
import { isConnectionLoss, type ServiceLink } from './link.ts';
import type { Roster } from './roster.ts';

/** How one service came out of being started. */
export type BringUp =
  | { readonly kind: 'up' }
  | { readonly kind: 'failed'; readonly problem: Problem }
  | { readonly kind: 'skipped'; readonly because: ServiceId }
  /** Its supervisor went away. */
  | { readonly kind: 'lost' };

export type OnSupervisor = Exclude<BringUp, { kind: 'skipped' }>;

const LAST_LINES = 20;

export interface Settling {
  readonly roster: Roster;
  readonly signal: AbortSignal;
  /** What is asked of the supervisor. */
  readonly ask: () => Promise<void>;
}

/** Asks a supervisor, and waits until its service is healthy, or has failed, or the supervisor is gone. */
export async function settle(
  link: ServiceLink,
  { id, label }: PlannedService,
  { roster, signal, ask }: Settling,
): Promise<OnSupervisor> {
  try {
    await ask();
  } catch (error) {
    if (!isConnectionLoss(error)) throw error;
    await roster.until(() => roster.get(id) !== link, signal);
  }
  const isSettled = (): boolean => {
    const { kind } = link.snapshot.state;
    return roster.get(id) !== link || kind === 'healthy' || kind === 'failed' || kind === 'stopped';
  };
  await roster.until(isSettled, signal);
  if (roster.get(id) !== link) return { kind: 'lost' };
  const { state } = link.snapshot;
  if (state.kind === 'healthy') return { kind: 'up' };
  if (state.kind === 'failed') return { kind: 'failed', problem: state.problem };
  return stoppedMeanwhile(label, await link.tail(LAST_LINES).catch(() => []));
}

export const stoppedMeanwhile = (label: string, lastLines: readonly string[] = []): BringUp & { kind: 'failed' } =>
  failure(`${label} was stopped before it was healthy.`, lastLines);

export const failure = (
  message: string,
  lastLines: readonly string[] = [],
  action?: ErrorAction,
): BringUp & { kind: 'failed' } => ({ kind: 'failed', problem: { message, lastLines, ...(action && { action }) } });
