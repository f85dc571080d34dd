import type { ServiceId, RunSpec } from './service.ts';

/** A service as planned for a workspace: a run spec whose peers' addresses are still to be filled in. */
export interface PlannedService extends Omit<RunSpec, 'command'> {
  readonly kind: 'process' | 'postgres';
  /** Templates, as are the values of `env`. A `postgres` service's command is found when it is started. */
  readonly command: readonly string[];
  readonly dependsOn: readonly ServiceId[];
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
  readonly host: string;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/** Everything that one workspace folder runs, in dependency order. */
export interface Plan {
  /** The folder's real path. */
  readonly workspace: string;
  readonly services: readonly PlannedService[];
  readonly publish: PublishPlan;
  readonly postgres: PostgresPlan;
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
