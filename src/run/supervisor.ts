import { type Clock, coalesce, delay, systemClock, untilAborted } from '../base/async.ts';
import { isCancelled, messageOf, UserError } from '../base/errors.ts';
import { Emitter } from '../base/event.ts';
import { faultPoint } from '../base/fault.ts';
import { exposureNote } from '../model/host.ts';
import { inBand, type Port } from '../model/port.ts';
import { RestartPolicy } from '../model/restart-policy.ts';
import {
  type Exit,
  type PortRequest,
  type RunSpec,
  type ServiceSnapshot,
  type ServiceState,
  stoppedSnapshot,
} from '../model/service.ts';
import { allocate, describeUse } from '../ports/allocate.ts';
import type { Lease } from '../ports/lease.ts';
import { type AttemptEnd, type AttemptEvents, type AttemptResult, LAST_LINES } from './attempt.ts';
import { BindRace } from './bind-race.ts';
import { HealthLog } from './health-log.ts';
import { watchExternal } from './external.ts';
import { Fronts } from './fronts.ts';
import { Generation } from './generation.ts';
import type { OutputLog } from './output.ts';
import type { ProcessIdentity } from './processes.ts';
import { HEALTH_CADENCE, type HealthCadence } from './readiness.ts';
import { childrenOf, readRecord, removeHalfWritten, type ServiceRecord, stickyPort, writeRecord } from './record.ts';
import {
  type Begun,
  Retirement,
  type RollHost,
  type RollOutcome,
  succeed,
  type Succession,
  SUPERSEDED,
  untilDrained,
  whyNotRolling,
} from './rolling.ts';
import { ServiceProcesses, stopSteps } from './service-processes.ts';

export interface SupervisorOptions {
  /** The workspace's private folder. */
  readonly dir: string;
  /** Names the stack and service in the environment of all of the service's processes. */
  readonly marker: string;
  readonly self: ProcessIdentity;
  readonly user: string;
  readonly output: OutputLog;
  /** The service's raw output, on its way to the terminal. */
  readonly onOutput: (chunk: Buffer) => void;
  /** One line about what the supervisor itself does. */
  readonly say: (line: string) => void;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock?: Clock;
  readonly cadence?: HealthCadence;
}

/** Facts that a change of state can end. */
type Passing = 'pid' | 'startedAt' | 'url' | 'note' | 'port' | 'readyPort' | 'draining';

/** An end that the restart policy decides about. */
type Ending = Exclude<AttemptEnd, { kind: 'interrupted' | 'impossible' }>;

/** For what killed processes left on a fixed port: PostgreSQL writes its shared buffers out before it goes. */
const PREDECESSOR_GONE_MS = 10_000;

/**
 * Keeps one service running: leases its port, starts it, restarts it by policy, ends it whole. One loop per start.
 * A start of a running service is nothing; a stop outranks everything that was asked before it.
 */
export class Supervisor {
  private current: ServiceSnapshot;
  private spec: RunSpec | undefined;
  private loop: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  private stopping: Promise<void> | undefined;
  /** Asked for while the service was being stopped, and done after that. */
  private startAsked: RunSpec | undefined;
  private closed = false;
  /** Ends the present process, or a backoff. */
  private interrupt: AbortController | undefined;
  private restartAsked: (() => void)[] = [];
  private lease: Lease | undefined;
  /** The port of its band that the service had last in this session, whichever it has now. */
  private sticky: Port | undefined;
  /** The process that is the service now. */
  private generation: Generation | undefined;
  /** The one that a rolling restart has begun beside it. */
  private coming: Generation | undefined;
  /** Those that were the service, the oldest first. Only the last one drains. */
  private leaving: readonly Retirement[] = [];
  /** A rolling restart that has neither switched nor failed yet. */
  private succession: { readonly abort: AbortController; readonly done: Promise<unknown> } | undefined;
  /** The rolling restart that is asked for and not begun, with the last spec that was given. */
  private rollAsked: { readonly spec: RunSpec | undefined } | undefined;
  private wanted: ServiceRecord['wanted'] = 'stopped';
  private readonly clock: Clock;
  private readonly processes: ServiceProcesses;
  private readonly changed = new Emitter<ServiceSnapshot>();

  readonly onChange = this.changed.event;
  readonly fronts = new Fronts();
  /** Every check and restart of this session. */
  readonly health = new HealthLog();

  constructor(
    id: RunSpec['id'],
    private readonly options: SupervisorOptions,
  ) {
    this.clock = options.clock ?? systemClock;
    this.processes = new ServiceProcesses(options);
    this.current = {
      ...stoppedSnapshot({ id, label: id, host: '' }),
      supervisorPid: options.self.pid,
    };
  }

  get snapshot(): ServiceSnapshot {
    return this.current;
  }

  /** Starts the service; nothing happens when it is on its way or running. */
  start(spec: RunSpec): void {
    if (this.closed) return;
    if (this.stopping) this.startAsked = spec;
    else if (!this.loop) this.begin(spec);
  }

  /** Starts the last spec again, after a stop or a failure. */
  startAgain(): void {
    if (this.spec) this.start(this.spec);
  }

  /** Ends the present process and starts anew. Settles once the old process is gone; asked for twice, done once. */
  async restart(spec: RunSpec | undefined = this.spec): Promise<void> {
    if (!spec) return;
    if (this.stopping || !this.loop) {
      this.start(spec);
      return this.stopping;
    }
    this.spec = spec;
    await new Promise<void>(resolve => {
      this.restartAsked.push(resolve);
      this.interrupt?.abort();
    });
  }

  /**
   * Restarts the service so that nobody notices: the new process beside the old one on a second port, healthy, switch,
   * drain, end of the old one. A service that cannot have two of them is restarted plainly. Settles once all is done, or
   * with `untilSwitched` once the new one is the service. Asked for before the switch, it is done once more after that;
   * asked for while the old one drains, it begins at once.
   */
  async roll(
    spec?: RunSpec,
    { untilSwitched = false }: { readonly untilSwitched?: boolean } = {},
  ): Promise<RollOutcome> {
    this.rollAsked = { spec: spec ?? this.rollAsked?.spec };
    const { outcome, retirement } = await this.succeedOnce();
    if (!untilSwitched) await retirement?.over;
    return outcome;
  }

  private readonly succeedOnce = coalesce(() => this.succeedNow());

  /**
   * Ends the service. It stays stopped until it is started again, whatever its restart policy says. `drain`: proxies
   * stop sending to it, and what they have open is let finish, for `drainMs` or as long as its spec says.
   */
  stop({
    drain = false,
    drainMs,
  }: { readonly drain?: boolean; readonly drainMs?: number | undefined } = {}): Promise<void> {
    this.startAsked = undefined;
    this.rollAsked = undefined;
    this.stopping ??= this.stopNow(drain, drainMs);
    return this.stopping;
  }

  /** Stops the service for good: nothing starts it again. */
  close(): Promise<void> {
    this.closed = true;
    return this.stop();
  }

  private begin(spec: RunSpec): void {
    this.spec = spec;
    this.wanted = 'running';
    const exposed = spec.command && exposureNote(spec);
    if (exposed) this.options.say(exposed);
    const abort = new AbortController();
    // Known before it begins: who is told that the service starts may ask for the next thing at once.
    const loop = { abort, done: Promise.resolve() };
    this.loop = loop;
    loop.done = this.keepRunning(abort.signal).finally(() => {
      this.loop = undefined;
      const again = this.restartAsked.length > 0 && !abort.signal.aborted;
      this.releaseWaiters();
      if (again) this.startAgain();
    });
  }

  private async stopNow(drain: boolean, drainMs: number | undefined): Promise<void> {
    this.wanted = 'stopped';
    // Written first: should this process be killed while it stops, nobody brings the service back.
    await this.record();
    if (this.loop) {
      this.succession?.abort.abort();
      if (drain && this.generation) await this.drainForGood(this.generation, drainMs);
      this.update({ state: { kind: 'stopping' } }, ['draining']);
      this.loop.abort.abort();
      await this.loop.done;
    }
    await this.record();
    this.stopping = undefined;
    if (this.startAsked) this.begin(this.startAsked);
    else this.update({ state: { kind: 'stopped' } }, ['note', 'readyPort']);
  }

  private async succeedNow(): Promise<Succession> {
    const asked = this.rollAsked;
    this.rollAsked = undefined;
    // The service has been stopped since.
    if (!asked) return SUPERSEDED;
    const spec = asked.spec ?? this.spec;
    if (!spec || !this.loop || this.stopping || this.closed) {
      if (spec) this.start(spec);
      return { outcome: { kind: 'restarted', reason: `${this.current.label} was not running` } };
    }
    const reason = whyNotRolling(spec, this.current);
    if (reason !== undefined || !this.generation) {
      await this.restart(spec);
      return { outcome: { kind: 'restarted', reason: reason ?? `${this.current.label} was not running` } };
    }
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.loop.abort.signal, this.interrupt!.signal]);
    this.options.say('rolling restart');
    const succession = succeed(this.rollHost, spec, signal);
    this.succession = { abort, done: succession.catch(() => undefined) };
    const settled = await succession.finally(() => (this.succession = undefined));
    const { outcome } = settled;
    if (outcome.kind === 'failed') {
      const note = `the rolling restart failed, and the process before goes on: ${outcome.problem.message}`;
      this.options.say(note);
      this.update({ note });
    }
    return settled;
  }

  private get rollHost(): RollHost {
    const { clock, fronts, options } = this;
    return {
      clock,
      fronts,
      say: options.say,
      begin: (spec, race, signal) => this.beginBeside(spec, race, signal),
      switchTo: next => this.switchTo(next),
      giveUp: async () => {
        await this.coming?.end();
        this.coming = undefined;
        await this.record();
      },
      retired: async retirement => {
        this.leaving = this.leaving.filter(one => one !== retirement);
        if (this.current.draining?.pid === retirement.pid) this.update({}, ['draining']);
        await this.record();
      },
    };
  }

  private async beginBeside(spec: RunSpec, race: BindRace, signal: AbortSignal): Promise<Begun> {
    // Three at most: this one, the one that is, and one of those that were.
    while (this.leaving.length > 1) await this.untilGone(this.leaving[0]!, signal);
    const lease = await this.leaseBeside(spec, race, signal);
    const generation = this.newGeneration(spec, lease, signal);
    this.coming = generation;
    let becameHealthy: () => void = () => undefined;
    const healthy = new Promise<undefined>(resolve => (becameHealthy = () => resolve(undefined)));
    const ended = generation.run(this.eventsOf(generation, becameHealthy)).then(({ end }) => end);
    return { generation, healthy, ended };
  }

  private async leaseBeside(spec: RunSpec, race: BindRace, signal: AbortSignal): Promise<Lease | undefined> {
    // The present port is leased by this very process, so it is not among those that can be had.
    const { self, user } = this.options;
    const owner = { pid: self.pid, user, workspace: spec.workspace, service: spec.id };
    for (;;) {
      try {
        return await allocate(spec.port, { owner, avoid: race.lostPorts, signal });
      } catch (error) {
        const [draining] = this.leaving;
        if (!(error instanceof UserError) || !draining) throw error;
        // In a band of two ports it has the one that is needed.
        draining.hasten();
        await this.untilGone(draining, signal);
      }
    }
  }

  private async untilGone({ pid, over }: Retirement, signal: AbortSignal): Promise<void> {
    this.options.say(`the next process waits for the end of pid ${pid}`);
    await Promise.race([over, untilAborted(signal)]);
  }

  /**
   * Everybody follows from here: the snapshot names the new process's port, and the old one as draining. One that drained
   * until now is ended: what is open to it is two versions old.
   */
  private async switchTo(next: Generation): Promise<Retirement> {
    const old = this.generation!;
    // None any more where it fell on the way.
    const pid = old.isEnding ? undefined : old.child?.pid;
    const port = old.lease?.port;
    this.generation = next;
    this.coming = undefined;
    // What ends a rolling restart is not to end its new process any more.
    this.succession = undefined;
    this.lease = next.lease;
    this.spec = next.spec;
    for (const one of this.leaving) one.hasten();
    const retirement = new Retirement(this.rollHost, old, {
      drainMs: next.spec.drainMs,
      signal: this.loop!.abort.signal,
    });
    this.leaving = [...this.leaving, retirement];
    const isDraining = pid !== undefined && port !== undefined;
    this.update(
      {
        state: { kind: 'healthy', since: this.clock.now() },
        restarts: this.current.restarts + 1,
        ...(next.lease && { port: next.lease.port, readyPort: next.lease.port }),
        ...next.facts,
        ...(isDraining && { draining: { port, pid } }),
      },
      isDraining ? ['note'] : ['note', 'draining'],
    );
    this.options.say(`switched${next.lease ? ` to port ${next.lease.port}` : ''}`);
    old.replace();
    await this.record();
    return retirement;
  }

  /** Nothing takes its place; otherwise as in a rolling restart. */
  private async drainForGood(generation: Generation, drainMs = generation.spec.drainMs): Promise<void> {
    const { lease, child } = generation;
    if (!lease || !child || this.fronts.isEmpty) return;
    for (const one of this.leaving) one.hasten();
    this.update({ state: { kind: 'stopping' }, draining: { port: lease.port, pid: child.pid } }, ['url']);
    await untilDrained(this.rollHost, generation, { drainMs, signal: this.loop!.abort.signal });
  }

  private async keepRunning(stop: AbortSignal): Promise<void> {
    try {
      this.describe(this.spec!);
      await this.endLeftovers(this.spec!);
      await this.attempts(stop);
    } catch (error) {
      if (!stop.aborted) this.fail(messageOf(error));
      if (!(error instanceof UserError))
        this.options.say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    } finally {
      this.generation = undefined;
      await this.endOthers();
      await this.releaseLease();
    }
  }

  /** The one to come, and those that were. */
  private async endOthers(): Promise<void> {
    this.succession?.abort.abort();
    const ends = this.leaving.map(async ({ generation, over }) => {
      await generation.end();
      await over;
    });
    await Promise.all([this.succession?.done, ...ends]);
  }

  private async attempts(stop: AbortSignal): Promise<void> {
    let policy: RestartPolicy | undefined;
    let race = new BindRace();
    while (!stop.aborted) {
      const spec = this.spec!;
      if (this.restartAsked.length > 0) {
        policy = undefined;
        race = new BindRace();
        this.update({ restarts: this.current.restarts + 1 }, ['note']);
      }
      this.interrupt = new AbortController();
      this.describe(spec);
      // By now the old process is gone, and that the new one starts is told before the waiters are.
      this.releaseWaiters();
      const { end, healthyForMs } = await this.runOnce(spec, race, AbortSignal.any([stop, this.interrupt.signal]));
      if (healthyForMs > 0) race = new BindRace();
      if (stop.aborted) return;
      if (end.kind === 'interrupted' || this.restartAsked.length > 0) continue;
      if (end.kind === 'impossible') return this.fail(end.message);
      const lostPort = end.kind === 'portTaken' ? await this.giveUpPort(spec) : undefined;
      if (lostPort !== undefined && spec.port.kind === 'band') {
        race = race.lost(lostPort, this.clock.now());
        if (race.isOver) return this.fail(race.message(spec.id));
        continue;
      }
      const reason = reasonOf(end);
      const clean = end.kind === 'exited' && end.exit.code === 0;
      policy ??= new RestartPolicy(spec.restart);
      const decision = policy.next({ at: this.clock.now(), healthyForMs, clean });
      if (decision.kind === 'leave') return this.leave(reason, clean);
      if (decision.kind === 'crashLoop') {
        return this.fail(`${spec.label} ended ${decision.exits} times in a row: ${reason}`);
      }
      policy = decision.policy;
      await this.backOff(decision.delayMs, reason, stop);
    }
  }

  /** A restart or a stop cuts it short. */
  private async backOff(delayMs: number, reason: string, stop: AbortSignal): Promise<void> {
    if (this.restartAsked.length > 0) return;
    this.options.say(`${reason}; starting again in ${delayMs} ms`);
    this.update({
      state: { kind: 'backingOff', retryAt: this.clock.now() + delayMs, reason },
      restarts: this.current.restarts + 1,
    });
    this.interrupt = new AbortController();
    await delay(delayMs, AbortSignal.any([stop, this.interrupt.signal]), this.clock).catch(() => undefined);
  }

  private releaseWaiters(): void {
    for (const resolve of this.restartAsked.splice(0)) resolve();
  }

  private async runOnce(spec: RunSpec, race: BindRace, signal: AbortSignal): Promise<AttemptResult> {
    try {
      if (!spec.command) return await this.lookAfter(spec, signal);
      await this.ensureLease(spec, race, signal);
      if (signal.aborted) return INTERRUPTED;
      faultPoint('supervisor.leased');
      // Before there is a process: should this one be killed right now, it is known what was wanted.
      await this.record();
      const generation = this.newGeneration(spec, this.lease, signal);
      this.generation = generation;
      // A defect in it is told by `untilEnd`.
      generation.run(this.eventsOf(generation)).catch(() => undefined);
      return await this.untilEnd(generation);
    } catch (error) {
      if (isCancelled(error)) return INTERRUPTED;
      throw error;
    }
  }

  private newGeneration(spec: RunSpec, lease: Lease | undefined, signal: AbortSignal): Generation {
    const { options, clock } = this;
    const cadence = options.cadence ?? HEALTH_CADENCE;
    const generation: Generation = new Generation({
      ...options,
      spec,
      lease,
      clock,
      cadence,
      signal,
      onCheck: (...check) => {
        if (this.generation === generation) this.health.add(...check);
      },
    });
    return generation;
  }

  /** Until the process that is the service ends, whichever that is by then. */
  private async untilEnd(first: Generation): Promise<AttemptResult> {
    for (let one = first; ; one = this.generation!) {
      const result = await Promise.race([one.ended, one.replaced]);
      // It fell while the next one was on its way: that one takes over as soon as it is healthy.
      if (this.generation === one) await this.succession?.done;
      if (this.generation === one && result) return result;
    }
  }

  /** What happens to a generation is told while it is the service. */
  private eventsOf(generation: Generation, onHealthyBeside?: () => void): AttemptEvents {
    const { say } = this.options;
    const port = generation.lease?.port;
    const isCurrent = (): boolean => this.generation === generation;
    const tell = (change: Partial<ServiceSnapshot>, without: readonly Passing[] = []): void => {
      if (isCurrent()) this.update(change, without);
    };
    return {
      onStarted: async identity => {
        faultPoint('supervisor.spawned');
        generation.child = identity;
        generation.facts = { pid: identity.pid, startedAt: this.clock.now() };
        tell(generation.facts);
        say(`pid ${identity.pid}${port === undefined ? '' : ` on port ${port}`}`);
        await this.record();
        faultPoint('supervisor.recorded');
      },
      onHealthy: url => {
        if (url !== undefined) generation.facts = { ...generation.facts, url };
        const found = { ...(port === undefined ? {} : { readyPort: port }), ...(url === undefined ? {} : { url }) };
        tell({ state: { kind: 'healthy', since: this.clock.now() }, ...found });
        say(url === undefined ? 'healthy' : `healthy on ${url}`);
        faultPoint('supervisor.healthy');
        onHealthyBeside?.();
      },
      onUnhealthy: reason => tell({ state: { kind: 'unhealthy', since: this.clock.now(), reason } }),
      onRecovered: () => tell({ state: { kind: 'healthy', since: this.clock.now() } }),
      onEnding: exit => {
        generation.isEnding = true;
        tell({ state: { kind: 'stopping' }, ...(exit && { lastExit: exit }) }, ['pid', 'startedAt', 'url']);
        if (exit) say(describeExit(exit));
      },
    };
  }

  private async lookAfter(spec: RunSpec, signal: AbortSignal): Promise<AttemptResult> {
    if (spec.port.kind === 'fixed') this.update({ port: spec.port.port, readyPort: spec.port.port });
    await this.record();
    const cadence = this.options.cadence ?? HEALTH_CADENCE;
    const { clock, health } = this;
    return watchExternal({ spec, cadence, signal, clock, onCheck: health.add }, change => {
      this.update({ state: change.state });
      this.options.say(change.message);
    });
  }

  private async ensureLease(spec: RunSpec, race: BindRace, signal: AbortSignal): Promise<void> {
    if (this.lease && suits(this.lease.port, spec.port)) return;
    await this.releaseLease();
    const record = await readRecord(this.options.dir, spec.id);
    const { self, user } = this.options;
    this.lease = await allocate(spec.port, {
      owner: { pid: self.pid, user, workspace: spec.workspace, service: spec.id },
      sticky: this.sticky ?? stickyPort(record),
      // Its supervisor was killed, or it has lost its port: whoever has its address is to find it there again.
      stays: record?.wanted === 'running' ? ((this.current.port as Port | undefined) ?? record.port) : undefined,
      // PostgreSQL, for one, carries no marker, and shuts down after those who ran it have been killed.
      goneWithinMs: record?.wanted === 'running' ? PREDECESSOR_GONE_MS : 0,
      avoid: race.lostPorts,
      signal,
      clock: this.clock,
    });
    if (this.lease) this.update({ port: this.lease.port });
    else this.update({}, ['port']);
    await this.tellOtherPort(spec.port);
  }

  /** Who expects the service on the port that it prefers is told where it is instead, and who is there. */
  private async tellOtherPort(request: PortRequest): Promise<void> {
    const preferred = request.kind === 'band' ? request.preferred : undefined;
    if (preferred === undefined || !this.lease || this.lease.port === preferred) return;
    const who = (await describeUse([preferred])).get(preferred);
    const note = `${preferred} is ${who ? `taken by ${who}` : 'left to others'}; here it is ${this.lease.port}`;
    if (note !== this.current.note) this.options.say(note);
    this.update({ note });
  }

  /** What a killed supervisor left behind is ended: nobody else holds the claim, so nobody else looks after it. */
  private async endLeftovers(spec: RunSpec): Promise<void> {
    await removeHalfWritten(this.options.dir, spec.id);
    if (!spec.command) return;
    const record = await readRecord(this.options.dir, spec.id);
    await this.processes.endLeftovers(childrenOf(record), stopSteps(spec.stopTimeoutMs));
  }

  private async giveUpPort(spec: RunSpec): Promise<Port> {
    const { port } = this.lease!;
    // Before it is asked who has the port: the answer is not to be our own lease.
    await this.releaseLease();
    const who = (await describeUse([port])).get(port) ?? 'another process';
    const note = `${port} was taken by ${who}${spec.port.kind === 'band' ? '; moved to another port' : ''}`;
    this.options.say(note);
    this.update({ note }, ['port', 'readyPort']);
    return port;
  }

  private async releaseLease(): Promise<void> {
    await this.lease?.release();
    this.lease = undefined;
  }

  /** It ended, and its policy leaves it at that. */
  private async leave(reason: string, clean: boolean): Promise<void> {
    if (!clean) return this.fail(reason);
    this.wanted = 'stopped';
    await this.record();
    this.update({ state: { kind: 'stopped' } }, ['readyPort']);
  }

  private fail(message: string): void {
    this.options.say(message);
    const problem = { message, lastLines: this.options.output.last(LAST_LINES) };
    this.update({ state: { kind: 'failed', problem } }, ['readyPort']);
  }

  private async record(): Promise<void> {
    const { spec, options } = this;
    if (!spec) return;
    // It is not forgotten while the service has the preferred port, a fixed one, or none yet.
    const before = await readRecord(options.dir, spec.id);
    if (this.lease && isAnyOfBand(this.lease.port, spec.port)) this.sticky = this.lease.port;
    const sticky = this.sticky ?? stickyPort(before);
    const port = this.current.port as Port | undefined;
    const leaving = this.leaving.flatMap(({ generation }) => generation.child ?? []);
    await writeRecord(options.dir, {
      version: 1,
      workspace: spec.workspace,
      service: spec.id,
      wanted: this.wanted,
      supervisor: options.self,
      runMarker: options.marker,
      ...(port === undefined ? {} : { port }),
      ...(sticky === undefined || sticky === port ? {} : { sticky }),
      ...(this.generation?.child ? { child: this.generation.child } : {}),
      ...(this.coming?.child ? { beside: this.coming.child } : {}),
      ...(leaving.length > 0 ? { leaving } : {}),
    }).catch((error: unknown) => options.say(`its state could not be written: ${messageOf(error)}`));
  }

  private describe({ id, label, host, command, replicaOf }: RunSpec): void {
    const state: ServiceState = { kind: 'starting', since: this.clock.now() };
    const group = replicaOf === undefined ? {} : { replicaOf };
    this.update({ id, label, host, ...group, external: command === undefined, state });
  }

  /** The one setter: every change of the snapshot goes through here and is told once. */
  private update(change: Partial<ServiceSnapshot>, without: readonly Passing[] = []): void {
    const next: Record<string, unknown> = { ...this.current, ...change };
    for (const key of without) delete next[key];
    const before = this.current.restarts;
    this.current = next as unknown as ServiceSnapshot;
    if (this.current.restarts > before) this.health.restarted({ at: this.clock.now(), reason: restartReason(change) });
    this.changed.fire(this.current);
  }
}

const INTERRUPTED: AttemptResult = { end: { kind: 'interrupted' }, healthyForMs: 0 };

function suits(port: Port, request: PortRequest): boolean {
  switch (request.kind) {
    case 'none':
      return false;
    case 'fixed':
      return port === request.port;
    case 'band':
      return port === request.preferred || (inBand(request.band, port) && !request.except?.includes(port));
  }
}

const isAnyOfBand = (port: Port, request: PortRequest): boolean =>
  request.kind === 'band' && port !== request.preferred && suits(port, request);

function reasonOf(end: Ending): string {
  switch (end.kind) {
    case 'exited':
      return describeExit(end.exit);
    case 'hung':
      return end.reason;
    case 'portTaken':
      return 'its port was taken by another process';
  }
}

const restartReason = ({ state }: Partial<ServiceSnapshot>): string =>
  state?.kind === 'backingOff' ? state.reason : 'asked for';

const describeExit = (exit: Exit): string =>
  exit.signal ? `ended by ${exit.signal}` : `exited with code ${exit.code ?? 'unknown'}`;
