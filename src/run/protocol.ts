import type { Socket } from 'node:net';
import {
  createMessageConnection,
  type MessageConnection,
  NotificationType,
  NotificationType0,
  RequestType,
  RequestType0,
  SocketMessageReader,
  SocketMessageWriter,
} from 'vscode-jsonrpc/node';
import type { HealthCheck, HealthHistory } from '../model/health-history.ts';
import type { RunSpec, ServiceSnapshot } from '../model/service.ts';
import type { RollOutcome } from './rolling.ts';

/** JSON-RPC between a supervisor and its clients (editors, command lines), over the supervisor's claim. */
export const PROTOCOL_VERSION = 1;

export interface Hello {
  readonly protocol: number;
  readonly snapshot: ServiceSnapshot;
}

/** Who I am and how the service is; from then on the client gets `changed`. */
export const helloRequest = new RequestType0<Hello, void>('hello');
/** Start the service. Does nothing when it runs already. Answered at once; progress comes as `changed`. */
export const startRequest = new RequestType<RunSpec, null, void>('start');
/** Start the service anew, with a new spec if one is given. Answered once the old process is gone. */
export const restartRequest = new RequestType<{ readonly spec?: RunSpec }, null, void>('restart');
/**
 * Start the service anew beside the present process, with a new spec if one is given, and end that one once nobody
 * needs it any more. Answered once it is gone, or with `untilSwitched` once the new one is the service.
 */
export const rollRequest = new RequestType<RollRequest, RollOutcome, void>('roll');
export interface RollRequest {
  readonly spec?: RunSpec;
  readonly untilSwitched?: boolean;
}
export interface StopRequest {
  /** Ends the supervisor as well. */
  readonly exit: boolean;
  /** Lets what proxies have open to the service finish first. */
  readonly drain?: boolean;
  /** For so long; as long as its spec says without it. */
  readonly drainMs?: number | undefined;
}
/** Stop the service. Answered once it is gone. */
export const stopRequest = new RequestType<StopRequest, null, void>('stop');
/** The last lines of output. */
export const tailRequest = new RequestType<{ readonly lines: number }, string[], void>('tail');

/** The newest `limit` checks of this session, all that are kept without one, and the restarts. */
export const historyRequest = new RequestType<{ readonly limit?: number }, HealthHistory, void>('history');

/** What a client wants to be told beside `changed`. Nothing until it asks, so that a client that does not look costs nothing. */
export interface WatchRequest {
  readonly checks: boolean;
  readonly output: boolean;
}
export const watchNotification = new NotificationType<WatchRequest>('watch');
export const checkedNotification = new NotificationType<HealthCheck>('checked');
/** Lines of output that were completed, in order; of a flood only the last ones. */
export const outputNotification = new NotificationType<readonly string[]>('output');

/** The client is an editor, and looks after the services in its terminals. */
export const attendNotification = new NotificationType0('attend');
/**
 * The editor ends in order. If none comes back, the services in its terminals end as well. A request, because the editor's
 * process ends right after: what was only notified is lost when the connection's end is seen first. `envFile`: what it has
 * published there is to be taken back then.
 */
export const leaveRequest = new RequestType<{ readonly envFile?: string }, null, void>('leave');

/** The client is a proxy, and is waited for before a process that it hands requests to is ended. */
export const frontNotification = new NotificationType0('front');
/** Nothing is left with this proxy of that process: no request, no stream. */
export const drainedNotification = new NotificationType<{ readonly pid: number }>('drained');

export const changedNotification = new NotificationType<ServiceSnapshot>('changed');

/** Speaks the protocol on a connected socket. The caller adds handlers and calls `listen()`. */
export function messageConnection(socket: Socket): MessageConnection {
  const connection = createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
  // A peer that dies mid-message is a closed connection, and that is how it is handled.
  connection.onError(() => undefined);
  return connection;
}
