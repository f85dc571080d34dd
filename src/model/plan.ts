import type { Port } from './port.ts';
import type { ServiceId, RunSpec } from './service.ts';

/** A service as planned for a workspace: a run spec whose peers' addresses are still to be filled in. */
export interface PlannedService extends Omit<RunSpec, 'command'> {
  readonly kind: 'process' | 'postgres' | 'proxy';
  /** Templates, as are the values of `env`. That of a `postgres` or a `proxy` is found when it is started. */
  readonly command: readonly string[];
  readonly dependsOn: readonly ServiceId[];
  /** How many processes of it run side by side, each on a port of its own. */
  readonly replicas: number;
  /** The page that "open" goes to. */
  readonly openPath: string;
}

export interface PublishPlan {
  /** Absolute path of the file with the marked block, or none. */
  readonly envFile: string | undefined;
  /** Further names and their templates, such as `VITE_HELIX_API_URL` and `${url:api}`. */
  readonly names: Readonly<Record<string, string>>;
  readonly settings: boolean;
  readonly keepOnStop: boolean;
}

export interface PostgresPlan {
  readonly engine: 'auto' | 'system' | 'embedded' | 'docker' | 'external';
  /** Of the engine `docker`. */
  readonly image: string;
  readonly host: string;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/** The stable address in front of the API. */
export interface ProxyPlan {
  readonly enabled: boolean;
  readonly engine: 'embedded' | 'nginx';
  readonly port: Port;
  /** Fail when the port is taken, rather than take one of the proxy's band. */
  readonly strict: boolean;
  /** How long requests of a process that is being replaced may go on, milliseconds. */
  readonly drainMs: number;
  /** Further origins that may read answers: templates, such as `http://localhost:5173` or `${url:web}`. */
  readonly origins: readonly string[];
  /** Globs beneath the workspace: a saved file that matches replaces the API without a gap. */
  readonly watch: readonly string[];
  /** The nginx to use; found on the PATH where this is empty. */
  readonly nginxPath: string;
}

/** Everything that one workspace folder runs, in dependency order. */
export interface Plan {
  /** The folder's real path. */
  readonly workspace: string;
  readonly services: readonly PlannedService[];
  readonly publish: PublishPlan;
  readonly postgres: PostgresPlan;
  readonly proxy: ProxyPlan;
  /** The process's environment over the folder's `.env`. Holds secrets: never shown, logged or written. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the plan comes from, for messages. */
  readonly source: string;
}

/** Whom this service waits for, near and far. */
export function dependenciesOf(plan: Plan, id: ServiceId): ReadonlySet<ServiceId> {
  const all = new Set<ServiceId>();
  const visit = (one: ServiceId): void => {
    for (const next of plan.services.find(service => service.id === one)?.dependsOn ?? []) {
      if (all.has(next)) continue;
      all.add(next);
      visit(next);
    }
  };
  visit(id);
  return all;
}
