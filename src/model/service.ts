import type { ErrorAction } from '../base/errors.ts';
import type { Band, Port } from './port.ts';
import type { RestartPolicyOptions } from './restart-policy.ts';

/** A service's name in the plan: lower case, digits, dashes; checked by the configuration's reader. */
export type ServiceId = string & { readonly __serviceId: unique symbol };

export const SERVICE_ID_PATTERN = /^[a-z][a-z0-9-]{0,30}$/;

export function toServiceId(value: string): ServiceId {
  if (!SERVICE_ID_PATTERN.test(value)) throw new RangeError(`Not a service id: ${JSON.stringify(value)}`);
  return value as ServiceId;
}

/** Which port a service gets: any of a band, always the same one, or none at all. */
export type PortRequest =
  /**
   * `except`: ports of the band that other services of the plan have as their fixed ones. `preferred`: the one to take
   * whenever it can be had, also outside of the band.
   */
  | { readonly kind: 'band'; readonly band: Band; readonly except?: readonly Port[]; readonly preferred?: Port }
  | { readonly kind: 'fixed'; readonly port: Port }
  | { readonly kind: 'none' };

/** When a starting service counts as ready, and what is checked while it runs. */
export type Readiness =
  | {
      readonly kind: 'http';
      readonly path: string;
      readonly status: number;
      /** The answer's JSON has at least these members with these values. */
      readonly expect?: unknown;
    }
  | { readonly kind: 'tcp' }
  /** A line of output matches; afterwards only the process is watched. */
  | { readonly kind: 'log'; readonly pattern: string }
  /** For a service that opens no port: it has run that long. */
  | { readonly kind: 'alive'; readonly seconds: number }
  /**
   * Answers PostgreSQL's SSLRequest, after a line of output matched `pattern` if there is one. `listener`: it is that
   * of a container engine, whose processes are not ours, so that who listens tells nothing.
   */
  | { readonly kind: 'postgres'; readonly pattern?: string; readonly listener?: 'container' };

/**
 * All that a supervisor needs to run one service. Strings in `command` and `env` may hold `${port}`,
 * which the supervisor fills in at each start, because only it knows the port it leased.
 */
export interface RunSpec {
  readonly id: ServiceId;
  readonly label: string;
  /** The workspace folder's real path: names the stack in leases and messages. */
  readonly workspace: string;
  /** Without a command the service is somebody else's: it is watched, never started or ended. */
  readonly command?: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly host: string;
  readonly port: PortRequest;
  readonly readiness: Readiness;
  /** Limit for becoming ready, milliseconds. */
  readonly readyTimeoutMs: number;
  /** How long SIGINT is given before SIGTERM, milliseconds. */
  readonly stopTimeoutMs: number;
  readonly restart: RestartPolicyOptions;
  /** The service gets the terminal itself rather than a pipe: for debuggers and prompts. */
  readonly tty: boolean;
  /** How long requests and streams of the process before may go on in a rolling restart, milliseconds. */
  readonly drainMs?: number;
  /** Globs beneath the workspace: a saved file that matches restarts the service rolling. */
  readonly watch?: readonly string[];
  /** The service that this is one more of. */
  readonly replicaOf?: ServiceId;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Why a service failed, as shown to the user. */
export interface Problem {
  readonly message: string;
  /** The service's last words. */
  readonly lastLines: readonly string[];
  /** What can be done about it. */
  readonly action?: ErrorAction;
}

export type ServiceState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'starting'; readonly since: number }
  | { readonly kind: 'healthy'; readonly since: number }
  | { readonly kind: 'unhealthy'; readonly since: number; readonly reason: string }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'backingOff'; readonly retryAt: number; readonly reason: string }
  | { readonly kind: 'failed'; readonly problem: Problem };

export type StateKind = ServiceState['kind'];

/** One service as seen from outside at one moment. Plain data: it travels over the control channel. */
export interface ServiceSnapshot {
  readonly id: ServiceId;
  readonly label: string;
  /** The service that this is one more of. */
  readonly replicaOf?: ServiceId;
  readonly state: ServiceState;
  readonly host: string;
  /** The leased port; stays known through a restart. */
  readonly port?: number;
  /** Where to call it, while its own processes listen on the port and speak HTTP. */
  readonly url?: string;
  /** The port on which this run was healthy: what is published. Kept through a restart on the same port. */
  readonly readyPort?: number;
  readonly pid?: number;
  /** When the present process started, milliseconds since the epoch. */
  readonly startedAt?: number;
  readonly restarts: number;
  readonly lastExit?: Exit;
  readonly supervisorPid?: number;
  /** It runs outside of our control and is only watched. */
  readonly external: boolean;
  /** The last thing worth telling, such as "8023 was taken by …, moved to 8051". */
  readonly note?: string;
  /** The process before, in a rolling restart: it gets nothing new, and is ended once nothing is open to it. */
  readonly draining?: { readonly port: number; readonly pid: number };
}

/** One workspace folder's services at one moment, in the plan's order. */
export interface StackSnapshot {
  readonly workspace: string;
  readonly services: readonly ServiceSnapshot[];
}

export const isRunning = (state: ServiceState): boolean => state.kind !== 'stopped' && state.kind !== 'failed';

export const stoppedSnapshot = (spec: Pick<RunSpec, 'id' | 'label' | 'host' | 'replicaOf'>): ServiceSnapshot => ({
  id: spec.id,
  label: spec.label,
  ...(spec.replicaOf === undefined ? {} : { replicaOf: spec.replicaOf }),
  host: spec.host,
  state: { kind: 'stopped' },
  restarts: 0,
  external: false,
});

/** A wildcard address can be bound but not called: callers use loopback instead. */
export function httpUrl(host: string, port: number): string {
  const callable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${callable.includes(':') ? `[${callable}]` : callable}:${port}`;
}
