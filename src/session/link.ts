import type { Socket } from 'node:net';
import { ConnectionError, ErrorCodes, type MessageConnection, ResponseError } from 'vscode-jsonrpc/node';
import type { Disposable } from '../base/dispose.ts';
import { Emitter } from '../base/event.ts';
import { within } from '../base/async.ts';
import { EMPTY_HISTORY, type HealthCheck, type HealthHistory } from '../model/health-history.ts';
import type { RunSpec, ServiceId, ServiceSnapshot } from '../model/service.ts';
import { connectHolder } from '../run/claim.ts';
import type { RollOutcome } from '../run/rolling.ts';
import {
  attendNotification,
  changedNotification,
  drainedNotification,
  frontNotification,
  checkedNotification,
  helloRequest,
  historyRequest,
  leaveRequest,
  messageConnection,
  outputNotification,
  PROTOCOL_VERSION,
  restartRequest,
  type RollRequest,
  rollRequest,
  startRequest,
  type StopRequest,
  stopRequest,
  tailRequest,
  watchNotification,
  type WatchRequest,
} from '../run/protocol.ts';

const HELLO_MS = 2_000;
/** An editor that ends is not given longer than a few seconds by its own process. */
const LEAVE_MS = 1_000;

const LOSSES: readonly number[] = [
  ErrorCodes.MessageWriteError,
  ErrorCodes.MessageReadError,
  ErrorCodes.PendingResponseRejected,
  ErrorCodes.ConnectionInactive,
];

/** Whether a request failed because the connection has ended, or is about to. */
export const isConnectionLoss = (error: unknown): boolean =>
  error instanceof ConnectionError || (error instanceof ResponseError && LOSSES.includes(error.code));

/** A client's end of the control channel to one running supervisor. */
export class ServiceLink implements Disposable {
  private readonly connection: MessageConnection;
  private readonly changed = new Emitter<ServiceSnapshot>();
  private readonly closed = new Emitter<void>();
  private readonly checked = new Emitter<HealthCheck>();
  private readonly printed = new Emitter<readonly string[]>();
  private isClosed = false;
  /** Known from the greeting on, and nobody gets hold of this object before that. */
  private latest: ServiceSnapshot | undefined;

  readonly onChange = this.changed.event;
  /** The supervisor is gone. */
  readonly onClose = this.closed.event;
  /** Checks and lines of output, for as long as `watch` asks for them. */
  readonly onCheck = this.checked.event;
  readonly onOutput = this.printed.event;

  private constructor(private readonly socket: Socket) {
    this.connection = messageConnection(socket);
    this.connection.onNotification(changedNotification, snapshot => this.take(snapshot));
    this.connection.onNotification(checkedNotification, check => this.checked.fire(check));
    this.connection.onNotification(outputNotification, lines => this.printed.fire(lines));
    this.connection.onClose(() => this.close());
    this.connection.listen();
  }

  /** The supervisor of this service, or undefined when none runs (or none that speaks our protocol). */
  static async open(dir: string, id: ServiceId): Promise<ServiceLink | undefined> {
    const socket = await connectHolder(dir, id);
    if (!socket) return undefined;
    const link = new ServiceLink(socket);
    if (await link.greet()) return link;
    link.dispose();
    return undefined;
  }

  private async greet(): Promise<boolean> {
    const greeting = this.connection.sendRequest(helloRequest).catch(() => undefined);
    const hello = await within(HELLO_MS, greeting);
    if (hello?.protocol !== PROTOCOL_VERSION || this.isClosed) return false;
    // A change that came meanwhile is newer.
    this.latest ??= hello.snapshot;
    return true;
  }

  get snapshot(): ServiceSnapshot {
    return this.latest!;
  }

  async start(spec: RunSpec): Promise<void> {
    await this.connection.sendRequest(startRequest, spec);
  }

  async restart(spec?: RunSpec): Promise<void> {
    await this.connection.sendRequest(restartRequest, spec ? { spec } : {});
  }

  roll(request: RollRequest): Promise<RollOutcome> {
    return this.connection.sendRequest(rollRequest, request);
  }

  async stop(options: StopRequest): Promise<void> {
    await this.connection.sendRequest(stopRequest, options);
  }

  /** Tells the supervisor that this client is an editor. */
  attend(): void {
    void this.connection.sendNotification(attendNotification).catch(() => undefined);
  }

  /** Tells the supervisor that this editor ends in order, and which file is to be cleared if none comes back. */
  async leave(envFile?: string): Promise<void> {
    const answer = this.connection
      .sendRequest(leaveRequest, envFile === undefined ? {} : { envFile })
      .catch(() => null);
    await within(LEAVE_MS, answer);
  }

  /** Tells the supervisor that this client is a proxy. */
  front(): void {
    void this.connection.sendNotification(frontNotification).catch(() => undefined);
  }

  /** Tells the supervisor that nothing of this process is left with this proxy. */
  drained(pid: number): void {
    void this.connection.sendNotification(drainedNotification, { pid }).catch(() => undefined);
  }

  tail(lines: number): Promise<string[]> {
    return this.connection.sendRequest(tailRequest, { lines });
  }

  /** The newest `limit` checks of the session; none from a supervisor of an older version, which keeps none. */
  async history(limit?: number): Promise<HealthHistory> {
    try {
      return await this.connection.sendRequest(historyRequest, limit === undefined ? {} : { limit });
    } catch {
      return EMPTY_HISTORY;
    }
  }

  /** What this client is told from now on; replaces what it asked for before. */
  watch(request: WatchRequest): void {
    if (this.isClosed) return;
    void this.connection.sendNotification(watchNotification, request).catch(() => undefined);
  }

  dispose(): void {
    this.changed.dispose();
    this.closed.dispose();
    this.checked.dispose();
    this.printed.dispose();
    this.socket.destroy();
  }

  private take(snapshot: ServiceSnapshot): void {
    this.latest = snapshot;
    this.changed.fire(snapshot);
  }

  private close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    // Requests still open would otherwise wait for ever.
    this.connection.dispose();
    this.closed.fire();
  }
}
