import * as z from 'zod/mini';
import { POSTGRES_PORT, PROXY_PORT } from '../defaults.ts';
import { variablesOf } from '../variables.ts';
import { type DeclaredServices, declaredServices, noService } from './declared-services.ts';
import type { ConfigPath, ConfigProblems } from './problem.ts';
import { proxySchema, publishSchema } from './schema.ts';
import { checkService } from './service-checks.ts';
import { checkTemplate, templatesOf } from './template-checks.ts';
import { valueAt } from './value.ts';

/**
 * What the schema cannot say: what one part means for another. Looks at each part that is right in itself, also when
 * others are not, so that all problems come at once.
 */
export function checkMeaning(value: unknown, problems: ConfigProblems): void {
  const services = declaredServices(value);
  for (const [id, { config, dependsOn }] of services) {
    for (const [index, other] of dependsOn.entries()) {
      if (services.has(other) || problems.isFull) continue;
      problems.atValue(['services', id, 'dependsOn', index], noService(other, services));
    }
    if (!config) continue;
    checkService(id, config, problems);
    for (const [at, template] of templatesOf(id, config)) checkTemplate(at, template, { self: id, services }, problems);
  }
  const publishing = z.safeParse(publishSchema, valueAt(value, ['publish'])).data;
  for (const [name, template] of Object.entries(publishing?.names ?? {})) {
    checkTemplate(['publish', 'names', name], template, { self: undefined, services }, problems);
  }
  const front = z.safeParse(proxySchema, valueAt(value, ['proxy'])).data;
  checkFixedPorts(services, front, problems);
  checkOrigins(front?.origins ?? [], services, problems);
  checkCycles(services, problems);
}

function checkFixedPorts(
  services: DeclaredServices,
  front: z.output<typeof proxySchema> | undefined,
  problems: ConfigProblems,
): void {
  const owners = new Map<number, string>();
  const take = (number: number, owner: string, at: ConfigPath): void => {
    const other = owners.get(number);
    if (other !== undefined) problems.atValue(at, `Port ${number} is the fixed port of ${other} already.`);
    else owners.set(number, owner);
  };
  for (const [id, { config }] of services) {
    const fixed = config?.port ?? (config?.type === 'postgres' ? POSTGRES_PORT : undefined);
    if (typeof fixed === 'number') take(fixed, id, ['services', id, 'port']);
  }
  if (front?.enabled) take(front.port ?? PROXY_PORT, 'the proxy', ['proxy', 'port']);
}

/** An origin as a browser sends it; a variable stands for one, and what it will be is not known yet. */
function checkOrigins(origins: readonly string[], services: DeclaredServices, problems: ConfigProblems): void {
  for (const [index, origin] of origins.entries()) {
    const at = ['proxy', 'origins', index];
    checkTemplate(at, origin, { self: undefined, services }, problems);
    if (variablesOf(origin).length > 0 || isOrigin(origin)) continue;
    problems.atValue(
      at,
      `"${origin}" is not an origin: http:// or https://, a host, a port and nothing behind it; or null, for files.`,
    );
  }
}

function isOrigin(text: string): boolean {
  // What browsers send for a page that was opened as a file.
  if (text === 'null') return true;
  if (!/^https?:\/\/[^*]+$/.test(text)) return false;
  try {
    // The parser leaves out a port that is the scheme's own, as a browser does.
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}

/** Depth first, with a trail of its own rather than the stack, which a long chain could overflow. */
function checkCycles(services: DeclaredServices, problems: ConfigProblems): void {
  const done = new Set<string>();
  for (const start of services.keys()) {
    const trail = [{ id: start, next: 0 }];
    for (let top = trail.at(-1); top; top = trail.at(-1)) {
      const index = top.next++;
      const other = services.get(top.id)?.dependsOn?.[index];
      if (other === undefined || done.has(top.id)) {
        done.add(top.id);
        trail.pop();
        continue;
      }
      const from = trail.findIndex(one => one.id === other);
      if (from < 0) {
        trail.push({ id: other, next: 0 });
        continue;
      }
      const cycle = [...trail.slice(from).map(one => one.id), other].join(' → ');
      problems.atValue(['services', top.id, 'dependsOn', index], `These services wait for each other: ${cycle}.`);
    }
  }
}
