import { UserError } from '../base/errors.ts';
import type { Plan, PlannedService } from '../model/plan.ts';
import { joinOrigins, ORIGINS_VARIABLE, originsOf } from '../model/origins.ts';
import { httpUrl, type RunSpec, type ServiceSnapshot, type StackSnapshot } from '../model/service.ts';
import { FRONTED_ID, frontIn } from '../model/front.ts';
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
      url: id => (id === FRONTED_ID ? frontUrl(stack) : undefined) ?? httpUrl(peer(id).host, peer(id).port),
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
  const filled = Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, fill(value)]));
  return { ...rest, command: command.map(fill), env: { ...filled, ...apiVariables(service, filled, stack, fill) } };
}

/** What HELIX's API must know of where it is, whoever describes it: its host, and the origins that may call it. */
function apiVariables(
  service: PlannedService,
  own: Readonly<Record<string, string>>,
  stack: StackSnapshot,
  fill: (template: string) => string,
): Record<string, string> {
  if (service.id !== 'api' || service.port.kind === 'none') return {};
  const listed = own[ORIGINS_VARIABLE] ?? fill(`\${env:${ORIGINS_VARIABLE}}`);
  const peers = stack.services.filter(one => one.id !== service.id && one.url !== undefined && one.port !== undefined);
  const ours = ['${port}', ...peers.map(one => one.port!)].flatMap(port => originsOf(port));
  return { API_HOST: own['API_HOST'] ?? service.host, [ORIGINS_VARIABLE]: joinOrigins(listed, ours) };
}

/** The API's address that survives its restarts, so that whoever got it once need not be told of a new one. */
function frontUrl({ services }: StackSnapshot): string | undefined {
  const front = frontIn(services);
  return front && httpUrl(front.host, front.readyPort!);
}

/** Whether the service is told the API's address. */
export const namesFronted = ({ command, env }: PlannedService): boolean =>
  [...command, ...Object.values(env)].some(template =>
    variablesOf(template).some(({ kind, argument }) => kind === 'url' && argument === FRONTED_ID),
  );

/** Whether the service runs with the folder's Python, which then has to be found first. */
export const wantsPython = ({ command, env }: PlannedService): boolean =>
  [...command, ...Object.values(env)].some(template => variablesOf(template).some(one => one.kind === 'python'));
