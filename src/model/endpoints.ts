import type { StateKind } from './service.ts';

/**
 * What a stack's proxy answers on `GET /__helix/endpoints`, as JSON: whose stack it is, and where its services are.
 * Pages use it to tell their own workspace's HELIX from a colleague's on the same machine.
 */
export interface Endpoints {
  /** `workspaceId` of the folder's real path: pages learn whose it is, and not where it lies. */
  readonly workspace: string;
  readonly services: readonly Endpoint[];
}

export interface Endpoint {
  readonly id: string;
  readonly label: string;
  readonly state: StateKind;
  /** Where it listens now; each replica is an entry of its own with the same `id`. */
  readonly port?: number;
  /** Where to call it directly, for services that speak HTTP. */
  readonly url?: string;
}

export const ENDPOINTS_PATH = '/__helix/endpoints';
export const HEALTH_PATH = '/api/v1/health';

/** Hexadecimal digits: 2^48 ids, so two workspaces of one machine do not share one by chance. */
export const WORKSPACE_ID_LENGTH = 12;

/** A folder's path as ids are made of it, on every system: `/home/me/helix`, `c:/Users/Me/helix`. */
export const workspacePath = (folder: string): string =>
  folder.replaceAll('\\', '/').replace(/^[A-Z]:/, drive => drive.toLowerCase());
