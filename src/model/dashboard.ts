import type { HealthCheck, RestartMark } from './health-history.ts';
import type { BandMap } from './port-map.ts';
import type { ReplicaCounts } from './replicas.ts';
import type { ServiceId, ServiceSnapshot } from './service.ts';

/** What a host tells the dashboard's page. Plain data; whatever text is in it is shown as text. */
export type ToPage =
  /** The first message; everything that was told before is void. */
  | {
      readonly kind: 'hello';
      /** What the host calls this workspace, to find it again after a reload. */
      readonly key: string;
      readonly workspace: string;
      /** A page that is served only looks. */
      readonly canAct: boolean;
    }
  | {
      readonly kind: 'services';
      readonly services: readonly ServiceSnapshot[];
      /** How many there are to be of each service of which there can be several. */
      readonly replicas: ReplicaCounts;
    }
  /** Replaces what was told of this service's health. */
  | {
      readonly kind: 'history';
      readonly id: ServiceId;
      readonly checks: readonly HealthCheck[];
      readonly restarts: readonly RestartMark[];
    }
  | { readonly kind: 'check'; readonly id: ServiceId; readonly check: HealthCheck }
  | { readonly kind: 'restart'; readonly id: ServiceId; readonly restarts: readonly RestartMark[] }
  /** `all`: these are all the lines, and replace those that were told. */
  | { readonly kind: 'lines'; readonly id: ServiceId; readonly lines: readonly string[]; readonly all: boolean }
  | { readonly kind: 'ports'; readonly bands: readonly BandMap[] };

export const SERVICE_ACTIONS = ['start', 'stop', 'restart', 'open', 'terminal', 'addReplica', 'removeReplica'] as const;
export type ServiceAction = (typeof SERVICE_ACTIONS)[number];

export const STACK_ACTIONS = ['startAll', 'stopAll', 'restartAll', 'exportHistory'] as const;
export type StackAction = (typeof STACK_ACTIONS)[number];

/** What the page tells its host. A page is not trusted: a host checks what it gets with `parseFromPage`. */
export type FromPage =
  /** It is there and wants to be told everything. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'service'; readonly action: ServiceAction; readonly id: string }
  | { readonly kind: 'stack'; readonly action: StackAction };

export function parseFromPage(value: unknown): FromPage | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { kind, action, id } = value as Readonly<Record<string, unknown>>;
  switch (kind) {
    case 'ready':
      return { kind };
    case 'service': {
      const known = SERVICE_ACTIONS.find(one => one === action);
      return known && typeof id === 'string' ? { kind, action: known, id } : undefined;
    }
    case 'stack': {
      const known = STACK_ACTIONS.find(one => one === action);
      return known && { kind, action: known };
    }
    default:
      return undefined;
  }
}
