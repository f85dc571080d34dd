import type { ServiceSnapshot } from '../../src/model/service.ts';

/** When what happened to one service, in milliseconds from the start of the stack. */
export interface ServiceTrace {
  linked?: number;
  asked?: number;
  spawned?: number;
  healthy?: number;
}

/** One start of a stack as its snapshots tell it. Plain data: it also comes out of an extension host. */
export interface StartTrace {
  tookMs: number;
  readonly services: Record<string, ServiceTrace>;
}

/** Keeps for each service when a snapshot first showed each step. */
export function note(trace: StartTrace, services: readonly ServiceSnapshot[], at: number): void {
  for (const service of services) {
    const steps = (trace.services[service.id] ??= {});
    if (service.supervisorPid !== undefined) steps.linked ??= at;
    if (service.state.kind === 'starting') steps.asked ??= at;
    if (service.pid !== undefined) steps.spawned ??= at;
    if (service.state.kind === 'healthy') steps.healthy ??= at;
  }
}
