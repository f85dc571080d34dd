import { type Clock, delay, systemClock } from '../base/async.ts';
import type { Port } from '../model/port.ts';
import { holdersOf, listenersOf, othersListenOn } from '../ports/holders.ts';
import { canBind } from '../ports/probe.ts';
import {
  descendants,
  endProcessGroup,
  type EndStep,
  identify,
  type ProcessIdentity,
  processesWithEnvironment,
} from './processes.ts';
import { type GENERATION_MARKER, RUN_MARKER } from './record.ts';

const LISTENER_GONE_MS = 5_000;
const LOOK_AGAIN_MS = 50;

export const stopSteps = (firstMs: number): readonly EndStep[] => [
  { signal: 'SIGINT', waitMs: firstMs },
  { signal: 'SIGTERM', waitMs: 3_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
];

/** A hung process has shown that it does not listen, so it is not given long. */
export const HUNG_STEPS: readonly EndStep[] = [
  { signal: 'SIGTERM', waitMs: 500 },
  { signal: 'SIGKILL', waitMs: 5_000 },
];

/** `unknown`: nobody, or one that cannot be seen, who is taken for ours. */
export type PortListener = 'ours' | 'stranger' | 'unknown';

export interface ServiceProcessesOptions {
  /** In the environment of all of these processes. */
  readonly marker: string;
  /** The variable that holds it: that of the whole service, or that of one of its generations. */
  readonly variable?: typeof RUN_MARKER | typeof GENERATION_MARKER;
  readonly say: (line: string) => void;
  readonly clock?: Clock;
}

/** All processes of one service or generation: its leader, what descends from it, and what left it but carries the marker. */
export class ServiceProcesses {
  private readonly clock: Clock;
  private readonly variable: string;

  constructor(private readonly options: ServiceProcessesOptions) {
    this.variable = options.variable ?? RUN_MARKER;
    this.clock = options.clock ?? systemClock;
  }

  /** The ports on which they listen. */
  async listeningPorts(leader: number): Promise<ReadonlySet<number>> {
    const listeners = await listenersOf(await this.tree(leader));
    return new Set(listeners.map(one => one.port));
  }

  /** The addresses at which they listen on this port. */
  async addressesOn(leader: number, port: Port): Promise<readonly string[]> {
    const listeners = await listenersOf(await this.tree(leader));
    return [...new Set(listeners.filter(one => one.port === port).map(one => one.address))];
  }

  async listensOn(leader: number, port: Port): Promise<boolean> {
    return (await this.listeningPorts(leader)).has(port);
  }

  /** Who listens on the port, as far as the system tells. */
  async listenerOn(leader: number, port: Port): Promise<PortListener> {
    if (await this.listensOn(leader, port)) return 'ours';
    const holder = (await holdersOf([port])).get(port);
    if (!holder) return 'unknown';
    // It may have begun to listen between the two looks.
    return holder.pid !== undefined && (await this.tree(leader)).has(holder.pid) ? 'ours' : 'stranger';
  }

  /** Whether a stranger listens on the port beside them, at another address: `localhost` may then mean either. */
  async shareWithStranger(leader: number, port: Port): Promise<boolean> {
    // One of theirs may have begun to listen after they were listed.
    return (
      (await othersListenOn(port, await this.tree(leader))) && (await othersListenOn(port, await this.tree(leader)))
    );
  }

  /** Ends the leader, its group and all that belongs to them, and waits for it. */
  async end(leader: ProcessIdentity, steps: readonly EndStep[], isOwnChild: boolean): Promise<void> {
    const marker = { name: this.variable, value: this.options.marker };
    if ((await endProcessGroup({ leader, marker, steps, isOwnChild })) === 'survived') {
      this.options.say(`pid ${leader.pid} could not be ended; look at it with your system's tools`);
    }
  }

  /**
   * Ends what a killed supervisor left behind. Only for the holder of the service's claim, or where nobody holds it:
   * then nobody else looks after these processes.
   */
  async endLeftovers(children: readonly ProcessIdentity[], steps: readonly EndStep[]): Promise<void> {
    for (const child of children) await this.end(child, steps, false);
    for (const pid of await this.marked()) {
      const identity = await identify(pid);
      if (!identity) continue;
      this.options.say(`ending pid ${pid}, left over from an earlier run`);
      await this.end(identity, steps, false);
    }
  }

  /** Waits until they have let go of the port. Should a stranger have it by now, the next attempt sees that. */
  async untilReleased(port: Port): Promise<void> {
    const limit = this.clock.now() + LISTENER_GONE_MS;
    while (!(await canBind(port)) && this.clock.now() < limit && (await this.carriersListenOn(port))) {
      await delay(LOOK_AGAIN_MS, undefined, this.clock);
    }
  }

  private async carriersListenOn(port: Port): Promise<boolean> {
    const listeners = await listenersOf(new Set(await this.marked()));
    return listeners.some(one => one.port === port);
  }

  private async tree(leader: number): Promise<ReadonlySet<number>> {
    return new Set([leader, ...(await descendants(leader)), ...(await this.marked())]);
  }

  private marked(): Promise<number[]> {
    return processesWithEnvironment(this.variable, this.options.marker);
  }
}
