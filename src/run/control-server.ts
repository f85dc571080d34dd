import type { Socket } from 'node:net';
import type { ServiceSnapshot } from '../model/service.ts';
import type { Attendance } from './attendance.ts';
import { ClientWatch } from './client-watch.ts';
import type { OutputLog } from './output.ts';
import {
  attendNotification,
  changedNotification,
  drainedNotification,
  frontNotification,
  helloRequest,
  historyRequest,
  leaveRequest,
  messageConnection,
  PROTOCOL_VERSION,
  restartRequest,
  rollRequest,
  startRequest,
  stopRequest,
  tailRequest,
  watchNotification,
} from './protocol.ts';
import type { Supervisor } from './supervisor.ts';

/** The supervisor's end of the control channel. The folder's mode 0700 is what keeps other users out. */
export class ControlServer {
  private used = false;

  constructor(
    private readonly supervisor: Supervisor,
    private readonly output: OutputLog,
    private readonly leave: () => Promise<void>,
    /** Only of a supervisor in an editor's terminal. */
    private readonly attendance?: Attendance,
  ) {}

  /** Whether a client ever asked for something that the supervisor should stay for. */
  get wasUsed(): boolean {
    return this.used;
  }

  accept(socket: Socket): void {
    const connection = messageConnection(socket);
    const { supervisor } = this;
    const subscription = supervisor.onChange((snapshot: ServiceSnapshot) => {
      void connection.sendNotification(changedNotification, snapshot).catch(() => undefined);
    });
    const watch = new ClientWatch(connection, { health: supervisor.health, output: this.output });
    connection.onClose(() => {
      subscription.dispose();
      watch.dispose();
      this.attendance?.lost(connection);
      supervisor.fronts.lost(connection);
      connection.dispose();
    });
    connection.onNotification(attendNotification, () => this.attendance?.attend(connection));
    connection.onRequest(leaveRequest, ({ envFile }) => {
      this.attendance?.leave(connection, envFile);
      return null;
    });
    connection.onRequest(helloRequest, () => ({ protocol: PROTOCOL_VERSION, snapshot: supervisor.snapshot }));
    connection.onRequest(startRequest, spec => {
      this.used = true;
      supervisor.start(spec);
      return null;
    });
    connection.onRequest(restartRequest, async ({ spec }) => {
      this.used = true;
      await supervisor.restart(spec);
      return null;
    });
    connection.onRequest(rollRequest, ({ spec, ...options }) => {
      this.used = true;
      return supervisor.roll(spec, options);
    });
    connection.onNotification(frontNotification, () => supervisor.fronts.join(connection));
    connection.onNotification(drainedNotification, ({ pid }) => supervisor.fronts.drained(connection, pid));
    connection.onRequest(stopRequest, async ({ exit, drain, drainMs }) => {
      this.used = true;
      await supervisor.stop(drain ? { drain, drainMs } : {});
      // Answer first: the connection ends with the process.
      if (exit) setTimeout(() => void this.leave(), 10);
      return null;
    });
    connection.onRequest(tailRequest, ({ lines }) => {
      watch.flush();
      return this.output.last(lines);
    });
    connection.onRequest(historyRequest, ({ limit }) => supervisor.health.history(limit));
    connection.onNotification(watchNotification, request => watch.set(request));
    connection.listen();
  }
}
