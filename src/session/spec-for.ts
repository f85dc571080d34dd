import type { PlannedService } from '../model/plan.ts';
import type { RunSpec } from '../model/service.ts';
import { proxySpec } from './proxy-service.ts';
import { fillSpec, wantsPython } from './spec.ts';
import type { StackContext } from './start-run.ts';

/** What a supervisor is told to run, as things stand now. @throws {UserError} when that cannot be */
export async function specFor(context: StackContext, service: PlannedService, signal: AbortSignal): Promise<RunSpec> {
  const { plan, postgres, python, snapshot, dir, proxyProgram } = context;
  switch (service.kind) {
    case 'postgres':
      return postgres.prepare(service, plan, signal);
    case 'proxy':
      return proxySpec(service, plan, dir, proxyProgram);
    case 'process':
      return fillSpec(
        service,
        snapshot(),
        plan.environment,
        wantsPython(service) ? (await python(plan)).path : undefined,
      );
  }
}
