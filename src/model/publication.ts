import { FRONTED_ID, frontIn } from './front.ts';
import { type PublishPlan } from './plan.ts';
import { httpUrl, type ServiceSnapshot, type StackSnapshot } from './service.ts';
import { substitute } from './variables.ts';

/** The names that HELIX's own code and tools read, by service. */
const PORT_NAMES: Readonly<Record<string, string>> = {
  api: 'API_PORT',
  orchestrator: 'ORCHESTRATOR_PORT',
  worker: 'WORKER_PORT',
  postgres: 'POSTGRES_PORT',
};

/**
 * What a stack in this state tells the world, by name. Services that never became healthy say nothing;
 * one that restarts keeps what it said, because its port stays.
 */
export function publishedValues(stack: StackSnapshot, plan: PublishPlan): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const api = stack.services.find(service => service.id === 'api' && service.readyPort !== undefined);
  if (api) {
    values.set('HELIX_API_URL', addressOf(api, stack.services));
    values.set('HELIX_API_DIRECT_URL', httpUrl(api.host, api.readyPort!));
    values.set('API_HOST', api.host);
  }
  for (const service of stack.services) {
    const name = PORT_NAMES[service.id];
    if (name && service.readyPort !== undefined) values.set(name, String(service.readyPort));
  }
  for (const [name, template] of Object.entries(plan.names)) {
    const value = fill(template, stack.services);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** The API's address is the proxy's while there is one: it stays when the API gets another port. */
function addressOf(service: ServiceSnapshot, services: readonly ServiceSnapshot[]): string {
  const { host, readyPort } = (service.id === FRONTED_ID ? frontIn(services) : undefined) ?? service;
  return httpUrl(host, readyPort!);
}

/** The template's value, or undefined as long as a service that it names is not up. */
function fill(template: string, services: readonly ServiceSnapshot[]): string | undefined {
  let missing = false;
  const ready = (id: string): ServiceSnapshot | undefined => {
    const service = services.find(one => one.id === id && one.readyPort !== undefined);
    missing ||= service === undefined;
    return service;
  };
  const value = substitute(template, {
    url: id => {
      const service = ready(id);
      return service ? addressOf(service, services) : '';
    },
    portOf: id => String(ready(id)?.readyPort ?? ''),
  });
  return missing ? undefined : value;
}
