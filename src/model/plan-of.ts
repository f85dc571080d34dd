import { isAbsolute, join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import { commandFor } from './config/service-checks.ts';
import type { HelixConfig, ServiceConfig } from './config.ts';
import { BANDS, LOOPBACK, POSTGRES_DEFAULTS, POSTGRES_IMAGE, POSTGRES_PORT, PROXY_PORT } from './defaults.ts';
import { isHost } from './host.ts';
import type { Plan, PlannedService, PostgresPlan, ProxyPlan } from './plan.ts';
import { inBand, isPort, type Port, toPort } from './port.ts';
import { DEFAULT_RESTART } from './restart-policy.ts';
import { type PortRequest, type Readiness, type ServiceId, toServiceId } from './service.ts';

/** What the configuration may say otherwise. */
export interface ProxyDefaults extends Pick<ProxyPlan, 'enabled' | 'engine' | 'nginxPath'> {
  readonly drainSeconds: number;
}

export interface PlanContext {
  /** The folder's real path. */
  readonly workspace: string;
  /** Where the configuration stands, for messages. */
  readonly source: string;
  readonly settings: {
    readonly envFile: string;
    readonly names: Readonly<Record<string, string>>;
    readonly publishSettings: boolean;
    readonly keepOnStop: boolean;
    readonly postgresEngine: PostgresPlan['engine'];
    readonly postgresImage?: string;
    readonly proxy?: ProxyDefaults;
  };
  /** The process's environment over the folder's `.env`. */
  readonly env: Readonly<Record<string, string>>;
  /** Where a variable of `env` was set, as `FILE:LINE:COLUMN`; undefined for the process's own. */
  readonly placeOf?: (name: string) => string | undefined;
}

const DEFAULT_READY_SECONDS = 60;
const DEFAULT_STOP_SECONDS = 10;
const DEFAULT_DRAIN_SECONDS = 30;
const LABELS: Readonly<Record<string, string>> = {
  api: 'API',
  orchestrator: 'Orchestrator',
  worker: 'Worker',
  postgres: 'PostgreSQL',
  proxy: 'Proxy',
};

/** The plan of a checked configuration: defaults filled in, services in dependency order. */
export function planOf(config: HelixConfig, context: PlanContext): Plan {
  const { settings, workspace, env } = context;
  const ids = inDependencyOrder(config.services);
  const envFile = config.publish?.envFile ?? settings.envFile;
  const proxy = proxyPlan(config.proxy, settings.proxy);
  const services = ids.map(id => plannedService(toServiceId(id), config.services[id]!, context));
  return {
    workspace,
    source: context.source,
    environment: env,
    services: apart(services, proxy.enabled ? [proxy.port] : []),
    publish: {
      envFile: envFile ? resolve(workspace, envFile) : undefined,
      names: { ...settings.names, ...config.publish?.names },
      settings: config.publish?.settings ?? settings.publishSettings,
      keepOnStop: config.publish?.keepOnStop ?? settings.keepOnStop,
    },
    postgres: {
      engine: config.postgres?.engine ?? settings.postgresEngine,
      image: config.postgres?.image ?? settings.postgresImage ?? POSTGRES_IMAGE,
      host: env['POSTGRES_HOST'] || POSTGRES_DEFAULTS.host,
      database: env['POSTGRES_DB'] || POSTGRES_DEFAULTS.database,
      user: env['POSTGRES_USER'] || POSTGRES_DEFAULTS.user,
      password: env['POSTGRES_PASSWORD'] ?? '',
    },
    proxy,
  };
}

function proxyPlan(proxy: HelixConfig['proxy'], defaults: ProxyDefaults | undefined): ProxyPlan {
  return {
    enabled: proxy?.enabled ?? defaults?.enabled ?? false,
    engine: proxy?.engine ?? defaults?.engine ?? 'embedded',
    port: proxy?.port === undefined ? PROXY_PORT : toPort(proxy.port),
    strict: proxy?.strict ?? false,
    drainMs: (proxy?.drainSeconds ?? defaults?.drainSeconds ?? DEFAULT_DRAIN_SECONDS) * 1000,
    origins: proxy?.origins ?? [],
    watch: proxy?.watch ?? [],
    nginxPath: defaults?.nginxPath ?? '',
  };
}

/** Depth first; the configuration's reader has refused cycles. Within that, the order in which they are written. */
function inDependencyOrder(services: HelixConfig['services']): string[] {
  const order: string[] = [];
  const visit = (id: string): void => {
    if (order.includes(id)) return;
    for (const dependency of services[id]?.dependsOn ?? []) visit(dependency);
    order.push(id);
  };
  for (const id of Object.keys(services)) visit(id);
  return order;
}

/** A port that one service has as its fixed one is taken out of the others' bands, and so is the proxy's. */
function apart(services: readonly PlannedService[], others: readonly Port[]): PlannedService[] {
  const fixed = [...services.flatMap(({ port }) => (port.kind === 'fixed' ? port.port : [])), ...others];
  return services.map(service => {
    const { port } = service;
    if (port.kind !== 'band') return service;
    const except = fixed.filter(one => inBand(port.band, one));
    return except.length === 0 ? service : { ...service, port: { ...port, except } };
  });
}

function plannedService(id: ServiceId, service: ServiceConfig, context: PlanContext): PlannedService {
  const restart = service.restart;
  const common = {
    id,
    label: service.label ?? LABELS[id] ?? id,
    workspace: context.workspace,
    cwd: inside(context.workspace, service.cwd ?? '.'),
    env: service.env ?? {},
    host: id === 'api' ? apiHost(service, context) : LOOPBACK,
    dependsOn: (service.dependsOn ?? []).map(toServiceId),
    replicas: service.replicas ?? 1,
    stopTimeoutMs: (service.stopTimeoutSeconds ?? DEFAULT_STOP_SECONDS) * 1000,
    readyTimeoutMs: (service.readiness?.timeoutSeconds ?? DEFAULT_READY_SECONDS) * 1000,
    restart: {
      policy: restart?.policy ?? DEFAULT_RESTART.policy,
      initialDelayMs: restart?.initialDelayMs ?? DEFAULT_RESTART.initialDelayMs,
      maxDelayMs: restart?.maxDelayMs ?? DEFAULT_RESTART.maxDelayMs,
      maxExits: restart?.maxExits ?? DEFAULT_RESTART.maxExits,
      windowMs: (restart?.windowSeconds ?? DEFAULT_RESTART.windowMs / 1000) * 1000,
      resetMs: (restart?.resetSeconds ?? DEFAULT_RESTART.resetMs / 1000) * 1000,
    },
    tty: service.tty ?? false,
    openPath: service.path ?? '/',
    ...(service.watch && { watch: service.watch }),
  };
  if (service.type === 'postgres') {
    return {
      ...common,
      kind: 'postgres',
      command: [],
      port: { kind: 'fixed', port: postgresPort(service, context) },
      readiness: { kind: 'postgres' },
    };
  }
  const port = portRequest(id, service);
  // The configuration's reader has refused one that has none.
  const command = service.command ? commandFor(process.platform, service.command) : [];
  return { ...common, kind: 'process', command, port, readiness: readinessOf(service, port) };
}

/** Fixed by design; `POSTGRES_PORT` is how a user moves it, and the configuration can say it too. */
function postgresPort(service: ServiceConfig, context: PlanContext): Port {
  if (isPort(service.port)) return service.port;
  const text = context.env['POSTGRES_PORT']?.trim();
  if (!text) return POSTGRES_PORT;
  const value = Number(text);
  if (isPort(value)) return value;
  throw wrongVariable('POSTGRES_PORT', text, 'not a port (1 to 65535)', context);
}

/** Loopback unless the configuration, the process or `.env` asks for more. */
function apiHost(service: ServiceConfig, context: PlanContext): string {
  const configured = service.env?.['API_HOST']?.trim();
  // The configuration's reader has refused one that is none.
  if (configured && !configured.includes('$')) return configured;
  const host = context.env['API_HOST']?.trim() || LOOPBACK;
  if (isHost(host)) return host;
  throw wrongVariable('API_HOST', host, `not a host's name or address, such as ${LOOPBACK}`, context);
}

function wrongVariable(name: string, value: string, must: string, { placeOf }: PlanContext): UserError {
  const place = placeOf?.(name);
  const where = place ? 'Correct it.' : 'Correct it in .env or in the environment.';
  return new UserError(`${place ? `${place}: ` : ''}${name} is ${JSON.stringify(value)}, ${must}. ${where}`);
}

function portRequest(id: ServiceId, service: ServiceConfig): PortRequest {
  const port = service.port ?? (id in BANDS ? (id as keyof typeof BANDS) : false);
  if (port === false) return { kind: 'none' };
  if (typeof port === 'number') return { kind: 'fixed', port: toPort(port) };
  if (typeof port === 'string') return { kind: 'band', band: BANDS[port] };
  return { kind: 'band', band: { from: toPort(port.from), to: toPort(port.to) } };
}

function readinessOf(service: ServiceConfig, port: PortRequest): Readiness {
  const readiness = service.readiness;
  if (readiness?.http !== undefined) {
    const expect = readiness.expect === undefined ? {} : { expect: readiness.expect };
    return { kind: 'http', path: readiness.http, status: readiness.status ?? 200, ...expect };
  }
  if (readiness?.tcp) return { kind: 'tcp' };
  if (readiness?.log !== undefined) return { kind: 'log', pattern: readiness.log };
  if (readiness?.aliveSeconds !== undefined) return { kind: 'alive', seconds: readiness.aliveSeconds };
  return port.kind === 'none' ? { kind: 'alive', seconds: 1 } : { kind: 'tcp' };
}

/** A working directory may lie anywhere, relative ones beneath the workspace. */
const inside = (workspace: string, cwd: string): string => (isAbsolute(cwd) ? cwd : join(workspace, cwd));
