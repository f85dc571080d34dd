import { coalesce } from '../base/async.ts';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import type { ToPage } from '../model/dashboard.ts';
import { replicaCounts } from '../model/replicas.ts';
import type { ServiceId, StackSnapshot } from '../model/service.ts';
import { portMap } from './port-map.ts';
import type { Stack } from './stack.ts';

/** Strangers take and leave ports without telling us. */
const LOOK_AT_PORTS_MS = 5_000;
/** Changes of ports come in groups. */
const PORTS_SETTLE_MS = 60;
/** An hour at the steady pace. The whole session is for the export. */
const SHOWN_CHECKS = 1_800;
const SHOWN_LINES = 200;

/**
 * Tells one page what it shows, for as long as it is looked at: everything at first, then each change as the
 * supervisors tell of it. Disposed, it asks for nothing any more and no timer is left.
 */
export class DashboardFeed implements Disposable {
  private readonly store = new DisposableStore();
  /** Which supervisor of a service was asked for its past. */
  private readonly asked = new Map<ServiceId, number>();
  private readonly restarts = new Map<ServiceId, number>();
  private ports = '';
  private toldPorts = '';
  private settling: NodeJS.Timeout | undefined;

  constructor(
    private readonly stack: Stack,
    private readonly tell: (message: ToPage) => void,
  ) {}

  start(hello: Omit<Extract<ToPage, { kind: 'hello' }>, 'kind'>): void {
    const { stack, store } = this;
    this.tell({ kind: 'hello', ...hello });
    store.add(stack.onChange(snapshot => this.onStack(snapshot)));
    store.add(
      stack.watch({
        onCheck: (id, check) => this.tell({ kind: 'check', id, check }),
        onOutput: (id, lines) => this.tell({ kind: 'lines', id, lines, all: false }),
      }),
    );
    const timer = setInterval(() => void this.lookAtPorts(), LOOK_AT_PORTS_MS);
    store.add({ dispose: () => clearInterval(timer) });
    store.add({ dispose: () => clearTimeout(this.settling) });
    this.onStack(stack.snapshot);
  }

  dispose(): void {
    this.store.dispose();
  }

  private onStack({ services }: StackSnapshot): void {
    this.tell({ kind: 'services', services, replicas: replicaCounts(this.stack.plan) });
    for (const { id, supervisorPid, restarts } of services) {
      if (supervisorPid === undefined) continue;
      if (this.asked.get(id) !== supervisorPid) void this.tellPast(id);
      else if (this.restarts.get(id) !== restarts) void this.tellRestarts(id);
      this.asked.set(id, supervisorPid);
      this.restarts.set(id, restarts);
    }
    // The URL comes with the listener: before that the map has nobody on the port to tell of.
    const ports = services.map(({ id, port, pid, url }) => `${id} ${port} ${pid} ${url}`).join();
    if (ports === this.ports) return;
    this.ports = ports;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => void this.lookAtPorts(), PORTS_SETTLE_MS);
  }

  private async tellPast(id: ServiceId): Promise<void> {
    const [{ checks, restarts }, lines] = await Promise.all([
      this.stack.history(id, SHOWN_CHECKS),
      this.stack.tail(id, SHOWN_LINES).catch((): readonly string[] => []),
    ]);
    if (this.store.isDisposed) return;
    this.tell({ kind: 'history', id, checks, restarts });
    this.tell({ kind: 'lines', id, lines, all: true });
  }

  private async tellRestarts(id: ServiceId): Promise<void> {
    const { restarts } = await this.stack.history(id, 0);
    if (!this.store.isDisposed) this.tell({ kind: 'restart', id, restarts });
  }

  private readonly lookAtPorts = coalesce(async () => {
    const bands = await portMap(this.stack.plan);
    const text = JSON.stringify(bands);
    if (this.store.isDisposed || text === this.toldPorts) return;
    this.toldPorts = text;
    this.tell({ kind: 'ports', bands });
  });
}
