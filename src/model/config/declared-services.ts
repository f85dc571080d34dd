import * as z from 'zod/mini';
import { hint } from './hint.ts';
import type { ServiceConfig } from './schema.ts';
import { BAND_NAMES, serviceSchema } from './service-schema.ts';
import { isList, isObject, valueAt } from './value.ts';

/** A service as it stands in the file, right or not. */
interface Declared {
  /** Undefined for a service that has problems of its own. */
  readonly config: ServiceConfig | undefined;
  /** As it stands there, so that a problem elsewhere in the service hides none here. */
  readonly dependsOn: readonly string[];
}

export type DeclaredServices = ReadonlyMap<string, Declared>;

export function declaredServices(value: unknown): DeclaredServices {
  const raw = valueAt(value, ['services']);
  const entries = isObject(raw) ? Object.entries(raw).filter(([id]) => id !== '__proto__') : [];
  return new Map(
    entries.map(([id, one]) => {
      const list = valueAt(one, ['dependsOn']);
      return [id, { config: z.safeParse(serviceSchema, one).data, dependsOn: isList(list) ? list : [] }];
    }),
  );
}

export const noService = (id: string, services: DeclaredServices): string =>
  `There is no service "${id}".${hint(id, services.keys())}`;

export const hasPort = (id: string, one: ServiceConfig): boolean =>
  one.type === 'postgres' || (one.port === undefined ? BAND_NAMES.some(name => name === id) : one.port !== false);

/** Whether `from` depends on `to`, near or far. */
export function reaches(services: DeclaredServices, from: string, to: string): boolean {
  const seen = new Set<string>();
  const pending = [from];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const next = seen.has(id) ? [] : (services.get(id)?.dependsOn ?? []);
    if (next.includes(to)) return true;
    seen.add(id);
    pending.push(...next);
  }
  return false;
}
