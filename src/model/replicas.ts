import { UserError } from '../base/errors.ts';
import type { Plan, PlannedService } from './plan.ts';
import { SERVICE_ID_PATTERN, type ServiceId, type ServiceSnapshot, toServiceId } from './service.ts';

export const MAX_REPLICAS = 64;

/** How many of a service are to run, by the id of the first. */
export type ReplicaCounts = Readonly<Record<string, number>>;

/** The service that this one is, or is one more of. */
export const groupOf = (service: Pick<ServiceSnapshot, 'id' | 'replicaOf'>): ServiceId =>
  service.replicaOf ?? service.id;

/**
 * The plan with each service as often as `counts` or, where they say nothing, the configuration asks: `api`, `api-2`,
 * `api-3`, each with its own supervisor, port and terminal. Whoever depends on a service depends on the first.
 * A plan that has replicas already gets others.
 * @throws {UserError} for a service of which only one can run
 */
export function withReplicas(plan: Plan, counts: ReplicaCounts = {}): Plan {
  const firsts = plan.services.filter(service => service.replicaOf === undefined);
  const ids = new Set<string>(firsts.map(service => service.id));
  const services = firsts.flatMap(first => {
    const replicas = Math.min(MAX_REPLICAS, Math.max(1, counts[first.id] ?? first.replicas));
    const reason = replicas > 1 ? whyOnlyOne(first) : undefined;
    if (reason) throw new UserError(`${first.label} cannot have ${replicas} replicas: ${reason}.`);
    return [{ ...first, replicas }, ...copiesOf(first, replicas, ids)];
  });
  return { ...plan, services };
}

/** How many there are to be of each service of which there can be several. */
export const replicaCounts = ({ services }: Pick<Plan, 'services'>): ReplicaCounts =>
  Object.fromEntries(
    services
      .filter(service => service.replicaOf === undefined && whyOnlyOne(service) === undefined)
      .map(({ id, replicas }) => [id, replicas]),
  );

/** Why only one of this service can run; undefined when there can be several. */
export function whyOnlyOne(service: PlannedService): string | undefined {
  if (service.kind !== 'process') return `there is only one ${service.label} in a workspace`;
  if (service.port.kind === 'fixed') return `it has the fixed port ${service.port.port}, which only one can have`;
  return undefined;
}

/** Behind an id, however many of the numbers are other services' already. */
const NUMBER = '-999';

/** Whether there may be more than one of a service of this id. */
export const canBeNumbered = (id: string): boolean => SERVICE_ID_PATTERN.test(`${id}${NUMBER}`);

/** Numbered from 2; a number whose id is another service's is left out. */
function copiesOf(first: PlannedService, replicas: number, taken: ReadonlySet<string>): PlannedService[] {
  const copies: PlannedService[] = [];
  for (let number = 2; copies.length < replicas - 1; number++) {
    const id = `${first.id}-${number}`;
    if (taken.has(id)) continue;
    if (!SERVICE_ID_PATTERN.test(id)) {
      throw new UserError(`${first.id} cannot have replicas: its id is too long for a number behind it. Shorten it.`);
    }
    const label = `${first.label} ${number}`;
    copies.push({ ...first, id: toServiceId(id), label, replicaOf: first.id, replicas: 1 });
  }
  return copies;
}
