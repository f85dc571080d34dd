import { UserError } from '../base/errors.ts';
import type { Plan, PlannedService } from '../model/plan.ts';
import { httpUrl, type RunSpec, type ServiceSnapshot, type StackSnapshot } from '../model/service.ts';
import { substituteKnown, variablesOf } from '../model/variables.ts';

/**
 * The spec to hand to a supervisor: peers' addresses and the environment's values are filled in, `${port}` and
 * `${node}` stay for the supervisor, which alone knows them.
 */
export function fillSpec(
  service: PlannedService,
  stack: StackSnapshot,
  env: Plan['environment'],
  python?: string,
): RunSpec {
  const peer = (id: string): ServiceSnapshot & { readonly port: number } => {
    const found = stack.services.find(one => one.id === id);
    if (found?.port === undefined)
      throw new UserError(`${service.label} needs the address of ${id}, which has no port yet.`);
    return { ...found, port: found.port };
  };
  const fill = (template: string): string =>
    substituteKnown(template, {
      url: id => httpUrl(peer(id).host, peer(id).port),
      portOf: id => String(peer(id).port),
      env: name => env[name] ?? '',
      host: service.host,
      workspaceFolder: service.workspace,
      ...(python === undefined ? {} : { python }),
    });
  const {
    kind: _kind,
    dependsOn: _dependsOn,
    openPath: _openPath,
    replicas: _replicas,
    command,
    env: variables,
    ...rest
  } = service;
  return {
    ...rest,
    command: command.map(fill),
    env: Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, fill(value)])),
  };
}

/** Whether the service runs with the folder's Python, which then has to be found first. */
export const wantsPython = ({ command, env }: PlannedService): boolean =>
  [...command, ...Object.values(env)].some(template => variablesOf(template).some(one => one.kind === 'python'));
