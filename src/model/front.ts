import { BANDS, LOOPBACK } from './defaults.ts';
import type { Plan, PlannedService, ProxyPlan } from './plan.ts';
import { DEFAULT_RESTART } from './restart-policy.ts';
import { isRunning, type ServiceId, type ServiceSnapshot, toServiceId } from './service.ts';
import { groupOf } from './replicas.ts';

export const PROXY_ID = toServiceId('proxy');
/** The service that the proxy stands in front of. */
export const FRONTED_ID = toServiceId('api');

const READY_MS = 30_000;
const STOP_MS = 10_000;

/**
 * The plan with the stable front: a proxy before an API that has a port, unless it is not wanted or the workspace has
 * a `proxy` of its own. It depends on nothing, so that it is there before the API is.
 */
export function withFront(plan: Plan): Plan {
  const { proxy, workspace } = plan;
  const services = plan.services.map(service =>
    service.id === FRONTED_ID
      ? { ...service, drainMs: proxy.drainMs, watch: [...(service.watch ?? []), ...proxy.watch] }
      : service,
  );
  const api = services.find(service => service.id === FRONTED_ID);
  const hasOwn = services.some(service => service.id === PROXY_ID);
  if (!proxy.enabled || !api || api.port.kind === 'none' || hasOwn) return { ...plan, services };
  const front: PlannedService = {
    id: PROXY_ID,
    kind: 'proxy',
    label: 'Proxy',
    workspace,
    cwd: workspace,
    command: [],
    env: {},
    host: LOOPBACK,
    port: portOf(proxy),
    readiness: { kind: 'http', path: '/health', status: 200 },
    readyTimeoutMs: READY_MS,
    stopTimeoutMs: STOP_MS,
    restart: DEFAULT_RESTART,
    tty: false,
    dependsOn: [],
    replicas: 1,
    openPath: '/',
  };
  return { ...plan, services: [...services, front] };
}

const portOf = ({ strict, port }: ProxyPlan): PlannedService['port'] =>
  strict ? { kind: 'fixed', port } : { kind: 'band', band: BANDS.proxy, preferred: port };

export const isFronted = (service: Pick<ServiceSnapshot, 'id' | 'replicaOf'>): boolean =>
  groupOf(service) === FRONTED_ID;

/** The proxy, while it can be called. A service of that name that is the workspace's own counts as well. */
export function frontIn(services: readonly ServiceSnapshot[]): ServiceSnapshot | undefined {
  return services.find(({ id, readyPort, state }) => id === PROXY_ID && readyPort !== undefined && isRunning(state));
}

/** Where people and programs call this service: the API under the proxy's address, which stays, as long as there is one. */
export function stableUrlOf(services: readonly ServiceSnapshot[], id: ServiceId): string | undefined {
  const service = services.find(one => one.id === id);
  if (!service?.url) return undefined;
  return (isFronted(service) ? frontIn(services)?.url : undefined) ?? service.url;
}
