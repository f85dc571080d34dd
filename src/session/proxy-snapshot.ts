import { frontIn, isFronted } from '../model/front.ts';
import { httpUrl, type ServiceSnapshot } from '../model/service.ts';
import { workspaceId } from '../model/workspace-id.ts';
import { substitute } from '../model/variables.ts';
import type { ProxySnapshot, Upstream } from '../proxy/engine.ts';
import type { ProxySettings } from './proxy-settings.ts';

/** A process on its way out, and what the proxy's engine calls it. */
export interface Draining {
  readonly key: string;
  readonly pid: number;
  readonly service: ServiceSnapshot;
}

/** What a proxy's engine is told of a stack in this state. */
export function proxySnapshotOf(
  services: readonly ServiceSnapshot[],
  { workspace, origins, drainMs }: Pick<ProxySettings, 'workspace' | 'origins' | 'drainMs'>,
): ProxySnapshot {
  const fronted = services.filter(isFronted);
  const leaving = drainingOf(services).map(({ key, service }) => upstream(key, service, service.draining!.port, true));
  return {
    workspace: workspaceId(workspace),
    upstreams: [...present(fronted), ...leaving],
    endpoints: services.map(({ id, replicaOf, label, state, readyPort, url }) => ({
      id: replicaOf ?? id,
      label,
      state: state.kind,
      ...(readyPort !== undefined && { port: readyPort }),
      ...(url !== undefined && { url }),
    })),
    origins: [...new Set([...ownOrigins(services), ...declaredOrigins(origins, services)])],
    drainMs,
  };
}

/** The processes to which nothing new goes. */
export const drainingOf = (services: readonly ServiceSnapshot[]): Draining[] =>
  services.filter(isFronted).flatMap(service => {
    const { draining } = service;
    return draining ? [{ key: keyOf(service, draining.pid), pid: draining.pid, service }] : [];
  });

/** Those that are healthy; should none be, those that answer at least something. */
function present(fronted: readonly ServiceSnapshot[]): Upstream[] {
  const running = fronted.filter(({ url, pid, readyPort }) => url && pid !== undefined && readyPort !== undefined);
  const healthy = running.filter(({ state }) => state.kind === 'healthy');
  const chosen = healthy.length > 0 ? healthy : running.filter(({ state }) => state.kind === 'unhealthy');
  return chosen.map(service => upstream(keyOf(service, service.pid!), service, service.readyPort!, false));
}

function upstream(key: string, { host }: ServiceSnapshot, port: number, draining: boolean): Upstream {
  return { key, host: new URL(httpUrl(host, port)).hostname.replace(/^\[|\]$/g, ''), port, draining };
}

const keyOf = ({ id }: ServiceSnapshot, pid: number): string => `${id}#${pid}`;

/** Pages of this workspace's own services, by either name of this machine. */
function ownOrigins(services: readonly ServiceSnapshot[]): string[] {
  const front = frontIn(services);
  const speaking = services.filter(service => service.url !== undefined || service === front);
  return speaking.flatMap(({ host, readyPort }) =>
    readyPort === undefined ? [] : [httpUrl(host, readyPort), httpUrl('localhost', readyPort)],
  );
}

/** An origin whose service has no address yet is none yet. */
function declaredOrigins(templates: readonly string[], services: readonly ServiceSnapshot[]): string[] {
  return templates.flatMap(template => {
    let missing = false;
    const ready = (id: string): ServiceSnapshot | undefined => {
      const found = services.find(one => one.id === id && one.readyPort !== undefined);
      missing ||= !found;
      return found;
    };
    const origin = substitute(template, {
      url: id => {
        const found = ready(id);
        return found ? httpUrl(found.host, found.readyPort!) : '';
      },
      portOf: id => String(ready(id)?.readyPort ?? ''),
      env: () => {
        missing = true;
        return '';
      },
    });
    return missing ? [] : [origin];
  });
}
