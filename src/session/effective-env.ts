import { UserError } from '../base/errors.ts';
import { type EffectiveVariable, effectiveEnvironment } from '../model/effective-env.ts';
import { joinOrigins, ORIGINS_VARIABLE } from '../model/origins.ts';
import type { Plan, PlannedService } from '../model/plan.ts';
import type { StackSnapshot } from '../model/service.ts';
import { substitute } from '../model/variables.ts';
import { readEnvFile } from './load-plan.ts';
import { fillSpec } from './spec.ts';

/** In the place of a port that only the next start will choose. */
const LATER = '(given at the start)';

export interface EffectiveOptions {
  readonly plan: Plan;
  readonly stack: StackSnapshot;
  /** The environment that a supervisor started from here would hand on. */
  readonly env: NodeJS.ProcessEnv;
}

/** A service's environment as its next start would have it from here; while it runs, with the ports that it has. */
export async function effectiveEnvironmentOf(
  service: PlannedService,
  { plan, stack, env }: EffectiveOptions,
): Promise<readonly EffectiveVariable[]> {
  return effectiveEnvironment({
    service,
    templates: service.env,
    filled: filledVariables(service, plan, stack),
    process: env,
    envFile: await readEnvFile(plan.workspace),
  });
}

/** One by one, because one that needs a port which nobody has yet says nothing about the others. */
function filledVariables(service: PlannedService, plan: Plan, stack: StackSnapshot): Record<string, string> {
  const known = withFixedPorts(plan, stack);
  const port = known.services.find(one => one.id === service.id)?.port ?? LATER;
  const valueOf = (name: string, env: PlannedService['env']): string => {
    try {
      const spec = fillSpec({ ...service, command: [], env }, known, plan.environment, LATER);
      const value = substitute(spec.env[name]!, { node: process.execPath, port });
      return name === ORIGINS_VARIABLE ? joinOrigins(value, []) : value;
    } catch (error) {
      if (error instanceof UserError) return LATER;
      throw error;
    }
  };
  const own = Object.entries(service.env).map(([name, value]) => [name, valueOf(name, { [name]: value })]);
  const added = Object.keys(fillSpec({ ...service, command: [], env: {} }, known, plan.environment).env)
    .filter(name => !(name in service.env))
    .map(name => [name, valueOf(name, {})]);
  return Object.fromEntries([...own, ...added]) as Record<string, string>;
}

/** A service that was never started has the port that the plan fixes. */
function withFixedPorts(plan: Plan, stack: StackSnapshot): StackSnapshot {
  const fixed = new Map(plan.services.map(one => [one.id, one.port.kind === 'fixed' ? one.port.port : undefined]));
  const services = stack.services.map(one => {
    const port = one.port ?? fixed.get(one.id);
    return port === undefined ? one : { ...one, port };
  });
  return { ...stack, services };
}
