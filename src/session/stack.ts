import { join } from 'node:path';
import { throwIfAborted } from '../base/async.ts';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { isCancelled, UserError } from '../base/errors.ts';
import { Emitter, type Event } from '../base/event.ts';
import type { Logger } from '../base/logger.ts';
import { EMPTY_HISTORY, type HealthHistory, type ServiceHistory } from '../model/health-history.ts';
import type { Plan, PlannedService } from '../model/plan.ts';
import { PROXY_ID } from '../model/front.ts';
import { groupOf, MAX_REPLICAS, withReplicas } from '../model/replicas.ts';
import {
  isRunning,
  type Problem,
  type ServiceId,
  type ServiceSnapshot,
  type StackSnapshot,
  stoppedSnapshot,
} from '../model/service.ts';
import { claim, withClaim } from '../run/claim.ts';
import { recordedServices } from '../run/record.ts';
import { stackDir } from '../run/runtime-dir.ts';
import type {
  Launcher,
  PostgresProvider,
  PythonProvider,
  StartOptions,
  StartOutcome,
  StartProgress,
  StopOutcome,
} from './outcomes.ts';
import { ProxyTeller } from './proxy-teller.ts';
import { pythonOf } from './python.ts';
import { settle, stoppedMeanwhile } from './bring-up.ts';
import { Recovery } from './recovery.ts';
import type { ServiceLink } from './link.ts';
import { Roster } from './roster.ts';
import { membersOf, rollOne, type RollingOutcome, type RollOptions } from './roll.ts';
import { readReplicaCounts, writeReplicaCount } from './scale.ts';
import { specFor } from './spec-for.ts';
import { type StackContext, StartRun } from './start-run.ts';
import { settleKilled, stopPresent } from './stopping.ts';
import { StopTokens } from './stop-tokens.ts';
import { type Watcher, Watchers } from './watchers.ts';
import { type WatchedRestart, WatchRestarts } from './watch-restarts.ts';

export type * from './outcomes.ts';
export type { RollingOutcome } from './roll.ts';
export type { WatchedRestart } from './watch-restarts.ts';

export interface StackOptions {
  readonly plan: Plan;
  readonly launcher: Launcher;
  readonly postgres: PostgresProvider;
  /** The built `src/proxy.ts`. */
  readonly proxyProgram: string;
  /** How Python is found; by the folder, `.env` and the PATH without it. */
  readonly python?: PythonProvider;
  readonly logger: Logger;
  /** Bring back supervisors that were killed. An editor and a running `start` do, a look at the status does not. */
  readonly keep: boolean;
  /** The client is an editor, whose terminals the services run in. */
  readonly isEditor?: boolean;
}

/** The claim of whoever brings supervisors up; a service id cannot begin with a dot. */
const START_CLAIM = '.start';

/**
 * One workspace's services as a whole: what they are, and the operations on them. Everything it knows of them it is
 * told by their supervisors, so any number of stacks (two windows, a command line) of one workspace agree.
 */
export class Stack implements Disposable {
  readonly dir: string;
  private readonly store = new DisposableStore();
  private readonly roster: Roster;
  private readonly changed = this.store.add(new Emitter<StackSnapshot>());
  private readonly disposal = new AbortController();
  private readonly starts = new Set<AbortController>();
  private readonly tokens: StopTokens;
  private readonly recovery: Recovery | undefined;
  private readonly watchers = new Watchers(() => this.roster.ids.map(id => this.roster.get(id)!));

  private readonly watchRestarts: WatchRestarts;
  private readonly proxyTeller: ProxyTeller;

  readonly onChange = this.changed.event;

  constructor(private options: StackOptions) {
    this.dir = stackDir(options.plan.workspace);
    this.tokens = new StopTokens(this.dir);
    const ids = (): ServiceId[] => this.plan.services.map(service => service.id);
    const onLink = (link: ServiceLink): void => {
      if (options.isEditor) link.attend();
      this.watchers.attach(link);
    };
    this.roster = this.store.add(new Roster(this.dir, ids, onLink));
    this.store.add(this.roster.onChange(() => this.onRosterChange()));
    this.store.add(
      this.roster.onLost(service => {
        if (service.replicaOf !== undefined) this.lookForReplicas();
      }),
    );
    this.recovery = options.keep ? this.newRecovery() : undefined;
    this.proxyTeller = this.store.add(new ProxyTeller(this.dir, options.logger));
    this.watchRestarts = this.store.add(
      new WatchRestarts({
        dir: this.dir,
        logger: options.logger,
        snapshotOf: id => this.roster.get(id)?.snapshot,
        roll: id => this.roll(id, { untilSwitched: true }),
      }),
    );
    this.followFiles();
  }

  get plan(): Plan {
    return this.options.plan;
  }

  /** A changed configuration counts from the next start of each service. */
  replacePlan(plan: Plan): void {
    this.options = { ...this.options, plan };
    this.changed.fire(this.snapshot);
    this.followFiles();
    void this.tellProxy();
  }

  /** The proxy goes on with the engine that it has, because the one that is wanted cannot be had. */
  get onProxyRefused(): Event<UserError> {
    return this.proxyTeller.onRefused;
  }

  /** Restarts that a saved file asked for: whoever keeps the services sees to them. */
  get onWatchedRestart(): Event<WatchedRestart> {
    return this.watchRestarts.onRestarted;
  }

  private followFiles(): void {
    if (this.options.keep) this.watchRestarts.follow(this.plan);
  }

  private async tellProxy(): Promise<void> {
    const proxy = this.roster.get(PROXY_ID);
    if (proxy) await this.proxyTeller.tell(this.plan, proxy.snapshot);
  }

  get snapshot(): StackSnapshot {
    const planned = this.plan.services.map(service => this.snapshotOf(service));
    const ids = new Set(planned.map(service => service.id));
    // Services that run although the configuration no longer has them: they are still ours to show and to stop.
    const others = this.roster.ids.filter(id => !ids.has(id)).map(id => this.roster.get(id)!.snapshot);
    return { workspace: this.plan.workspace, services: [...planned, ...others] };
  }

  /** Finds what runs by now, without waiting until it is told of it. */
  refresh(): Promise<void> {
    return this.roster.refresh();
  }

  /** Finds what runs already, and brings back what was killed while nobody looked. */
  async connect(): Promise<void> {
    await this.refresh();
    for (const service of this.plan.services) {
      if (!this.roster.get(service.id)) void this.recovery?.recoverIfKilled(service.id);
    }
  }

  /**
   * Brings the whole stack up. Services start as soon as what they depend on is healthy; those that run are left
   * alone; of two starts at once one works and the other finds the result.
   */
  start(options: StartOptions = {}): Promise<StartOutcome> {
    return this.startIf(options, () => Promise.resolve(true));
  }

  private async startIf(options: StartOptions, isDue: () => Promise<boolean>): Promise<StartOutcome> {
    const operation = new AbortController();
    this.starts.add(operation);
    const signal = this.signalOf(operation.signal, options.signal);
    const { askedAt = Date.now() } = options;
    try {
      // It may have been removed since; everything in it can be made anew.
      stackDir(this.plan.workspace);
      return await withClaim(this.dir, START_CLAIM, signal, async () => {
        throwIfAborted(signal);
        await this.roster.refresh();
        await this.followReplicas();
        await this.tellProxy();
        const services = this.selected(options.only);
        if (!(await isDue()) || services.every(service => this.isUp(service.id))) {
          return { kind: 'alreadyRunning', snapshot: this.snapshot };
        }
        return this.reporting(services, options, () => new StartRun(this.context, services, askedAt, signal).run());
      });
    } catch (error) {
      if (isCancelled(error)) return { kind: 'cancelled' };
      throw error;
    } finally {
      this.starts.delete(operation);
    }
  }

  /**
   * Stops services, dependents first, and ends their supervisors. It outranks a start that is under way, here or
   * in another process: every one that was asked for before `askedAt` (ms since the epoch).
   */
  async stop(only?: readonly ServiceId[], askedAt?: number): Promise<StopOutcome> {
    if (!only) for (const start of this.starts) start.abort();
    await this.tokens.renew(only, askedAt);
    const first = await stopPresent(this.context, only);
    // A start of other services may go on for long; it sees the token and leaves these alone.
    if (only) {
      const held = await claim(this.dir, START_CLAIM);
      if (!held) return first;
      return this.stopRest(first, only).finally(() => held.release());
    }
    return withClaim(this.dir, START_CLAIM, undefined, () => this.stopRest(first, undefined));
  }

  /** By now nobody starts anything: what a start elsewhere began before it saw the token is stopped as well. */
  private async stopRest(first: StopOutcome, only: readonly ServiceId[] | undefined): Promise<StopOutcome> {
    await this.roster.refresh();
    const isLeft = (id: ServiceId): boolean => first.left.some(one => one.id === id);
    const running = this.roster.ids.some(id => !isLeft(id) && (!only || only.includes(id)));
    const outcome = running ? await stopPresent(this.context, only) : first;
    await this.settle(only ?? (await recordedServices(this.dir)));
    return outcome;
  }

  /** Starts one service anew and waits until it is healthy; one that does not run is started. */
  async restart(id: ServiceId, options: Omit<StartOptions, 'only'> = {}): Promise<StartOutcome> {
    await this.roster.refresh();
    // Its own restart tells it, and says what is in the way.
    if (id !== PROXY_ID) await this.tellProxy();
    const service = this.plan.services.find(one => one.id === id);
    const link = this.roster.get(id);
    if (!service) throw new UserError(`There is no service ${id} in ${this.plan.source}.`);
    if (!link || !isRunning(link.snapshot.state)) return this.start({ ...options, only: [id] });
    if (link.snapshot.external) {
      throw new UserError(
        `${service.label} was running before HELIX and is not ours to restart. Restart it where it was started.`,
      );
    }
    // What it depends on may just have been killed; it has an address again once it is back.
    const away = service.dependsOn.filter(other => !this.roster.get(other));
    if (away.length > 0) {
      const outcome = await this.start({ ...options, only: away });
      if (outcome.kind === 'failed' || outcome.kind === 'cancelled') return outcome;
    }
    try {
      return await this.reporting([service], options, () => this.restartOn(link, service, options));
    } catch (error) {
      if (isCancelled(error)) return { kind: 'cancelled' };
      throw error;
    }
  }

  private async restartOn(link: ServiceLink, service: PlannedService, options: StartOptions): Promise<StartOutcome> {
    const token = await this.tokens.read(service.id);
    const signal = this.signalOf(options.signal);
    const spec = service.kind === 'postgres' ? undefined : await specFor(this.context, service, signal);
    const outcome = await settle(link, service, { roster: this.roster, signal, ask: () => link.restart(spec) });
    if (outcome.kind === 'up') return { kind: 'started', snapshot: this.snapshot };
    return outcome.kind === 'lost' ? this.afterLoss(service, token, options) : this.failed(service, outcome.problem);
  }

  /** A stop outranks what was asked for; where nobody has stopped it since `token` was read, its supervisor was killed. */
  private async afterLoss(service: PlannedService, token: string, options: StartOptions): Promise<StartOutcome> {
    const wasStopped = (await this.tokens.read(service.id)) !== token;
    return wasStopped
      ? this.failed(service, stoppedMeanwhile(service.label).problem)
      : this.start({ ...options, only: [service.id] });
  }

  private failed(service: PlannedService, problem: Problem): StartOutcome {
    const failed = { service: this.snapshotOf(service), problem, skipped: [] };
    return { kind: 'failed', failures: [failed], snapshot: this.snapshot };
  }

  /**
   * Restarts a service, and all its replicas one after another, so that nobody notices: each beside itself. What cannot
   * have that is restarted plainly, and the outcome says why. Where the new process fails, the old one goes on.
   */
  async roll(id: ServiceId, options: RollOptions = {}): Promise<RollingOutcome> {
    await this.roster.refresh();
    await this.tellProxy();
    const members = membersOf(this.context, id);
    const link = this.roster.get(id);
    if (!link || !isRunning(link.snapshot.state)) {
      return { outcome: await this.start({ ...options, only: [id] }), notes: [] };
    }
    const notes: string[] = [];
    const signal = this.signalOf(options.signal);
    try {
      for (const service of members) {
        const token = await this.tokens.read(service.id);
        const rolled = await rollOne(this.context, service, { ...options, signal });
        if ('lost' in rolled) return { outcome: await this.afterLoss(service, token, options), notes };
        if ('failure' in rolled) {
          return { outcome: { kind: 'failed', failures: [rolled.failure], snapshot: this.snapshot }, notes };
        }
        if (rolled.note) notes.push(rolled.note);
      }
      return { outcome: { kind: 'started', snapshot: this.snapshot }, notes };
    } catch (error) {
      if (isCancelled(error)) return { outcome: { kind: 'cancelled' }, notes };
      throw error;
    }
  }

  /** How many of this service there are to be. Remembered; while the service runs, it is so at once. */
  async scale(id: ServiceId, count: number, options: Omit<StartOptions, 'only'> = {}): Promise<StartOutcome> {
    const first = this.plan.services.find(one => one.id === id && one.replicaOf === undefined);
    if (!first) throw new UserError(`There is no service ${id} in ${this.plan.source}.`);
    if (!Number.isInteger(count) || count < 1 || count > MAX_REPLICAS) {
      throw new UserError(`${first.label} can have 1 to ${MAX_REPLICAS} replicas, not ${count}.`);
    }
    // Says why where there can be only one, before anything is written.
    withReplicas(this.plan, { [id]: count });
    await writeReplicaCount(this.plan.workspace, id, count);
    await this.roster.refresh();
    await this.followReplicas();
    await this.tellProxy();
    const wanted = new Set(this.plan.services.filter(one => groupOf(one) === id).map(one => one.id));
    const links = this.roster.ids.map(one => this.roster.get(one)!);
    const superfluous = links.filter(({ snapshot }) => snapshot.replicaOf === id && !wanted.has(snapshot.id));
    // What is open to them is let finish before they end.
    const { drainMs } = first;
    await Promise.all(superfluous.map(link => link.stop({ exit: false, drain: true, drainMs }).catch(() => undefined)));
    if (superfluous.length > 0) await this.stop(superfluous.map(({ snapshot }) => snapshot.id));
    const runs = this.roster.get(id)?.snapshot.state;
    if (!runs || !isRunning(runs)) return { kind: 'alreadyRunning', snapshot: this.snapshot };
    return this.start({ ...options, only: [...wanted] });
  }

  /** The count may have been chosen in another window or on the command line. */
  private async followReplicas(): Promise<void> {
    const plan = withReplicas(this.plan, await readReplicaCounts(this.plan.workspace));
    const ids = (one: Plan): string => one.services.map(service => service.id).join();
    if (!this.disposal.signal.aborted && ids(plan) !== ids(this.plan)) this.replacePlan(plan);
  }

  /** Restarts what runs, dependencies first, and starts what does not. A server that is not ours is left alone. */
  async restartAll(options: Omit<StartOptions, 'only'> = {}): Promise<StartOutcome> {
    await this.roster.refresh();
    for (const service of this.plan.services) {
      const snapshot = this.roster.get(service.id)?.snapshot;
      if (!snapshot || !isRunning(snapshot.state) || snapshot.external) continue;
      const outcome = await this.restart(service.id, options);
      if (outcome.kind === 'cancelled' || outcome.kind === 'failed') return outcome;
    }
    const outcome = await this.start(options);
    return outcome.kind === 'alreadyRunning' ? { kind: 'started', snapshot: outcome.snapshot } : outcome;
  }

  /** The service's last lines, from its supervisor. */
  async tail(id: ServiceId, lines: number): Promise<readonly string[]> {
    return (await this.roster.get(id)?.tail(lines)) ?? [];
  }

  /** The service's newest `limit` checks of this session, from its supervisor. */
  async history(id: ServiceId, limit?: number): Promise<HealthHistory> {
    return (await this.roster.get(id)?.history(limit)) ?? EMPTY_HISTORY;
  }

  /** All services' checks of this session, in the order of the plan. */
  histories(): Promise<readonly ServiceHistory[]> {
    return Promise.all(this.snapshot.services.map(async ({ id }) => ({ id, ...(await this.history(id)) })));
  }

  /** Tells of checks and output as they come, until it is disposed. */
  watch(watcher: Watcher): Disposable {
    return this.watchers.add(watcher);
  }

  logFile(id: ServiceId): string {
    return join(this.dir, `${id}.log`);
  }

  /** Says goodbye for an editor that ends in order: should none come back, the services in its terminals end. */
  async leave(): Promise<void> {
    const { envFile, keepOnStop } = this.plan.publish;
    await Promise.all(this.roster.ids.map(id => this.roster.get(id)!.leave(keepOnStop ? undefined : envFile)));
  }

  dispose(): void {
    this.disposal.abort();
    this.store.dispose();
  }

  private get context(): StackContext {
    const { dir, roster, tokens } = this;
    const { plan, launcher, postgres, python = pythonOf, proxyProgram } = this.options;
    const disposal = this.disposal.signal;
    const snapshot = (): StackSnapshot => this.snapshot;
    return { dir, plan, roster, tokens, launcher, postgres, python, proxyProgram, disposal, snapshot };
  }

  private newRecovery(): Recovery {
    const recovery = new Recovery({
      context: () => this.context,
      logger: this.options.logger,
      start: (id, isDue) => this.startIf({ only: [id] }, isDue),
      settle: id => withClaim(this.dir, START_CLAIM, this.disposal.signal, () => this.settle([id])),
    });
    this.store.add(this.roster.onLost(service => void recovery.recoverIfKilled(service.id, service)));
    return recovery;
  }

  private settle(ids: readonly ServiceId[]): Promise<void> {
    return settleKilled(this.context, ids, line => this.options.logger.info(line));
  }

  private signalOf(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
    return AbortSignal.any([this.disposal.signal, ...signals.filter(signal => signal !== undefined)]);
  }

  private snapshotOf(service: PlannedService): ServiceSnapshot {
    const live = this.roster.get(service.id)?.snapshot;
    // A supervisor that was not told yet what to run knows no more than the service's id.
    return live && live.host === ''
      ? { ...live, label: service.label, host: service.host }
      : (live ?? stoppedSnapshot(service));
  }

  private selected(only: readonly ServiceId[] | undefined): readonly PlannedService[] {
    if (!only) return this.plan.services;
    const wanted = new Set<ServiceId>(only);
    // In dependency order, so walking backwards finds every dependency of a dependency.
    for (const service of [...this.plan.services].reverse()) {
      if (wanted.has(service.id)) for (const id of service.dependsOn) wanted.add(id);
    }
    return this.plan.services.filter(service => wanted.has(service.id));
  }

  private isUp(id: ServiceId): boolean {
    return this.roster.get(id)?.snapshot.state.kind === 'healthy';
  }

  private async reporting(
    services: readonly PlannedService[],
    { onProgress }: Pick<StartOptions, 'onProgress'>,
    operation: () => Promise<StartOutcome>,
  ): Promise<StartOutcome> {
    if (!onProgress) return operation();
    const report = (): void => {
      const progress = this.progressOf(services);
      if (progress) onProgress(progress);
    };
    report();
    const subscription = this.roster.onChange(report);
    try {
      return await operation();
    } finally {
      subscription.dispose();
    }
  }

  private progressOf(services: readonly PlannedService[]): StartProgress | undefined {
    const all = services.map(service => this.snapshotOf(service));
    const waiting = all.filter(one => one.state.kind !== 'healthy');
    const waitingFor = waiting.find(one => one.state.kind !== 'stopped') ?? waiting[0];
    return waitingFor && { ready: all.length - waiting.length, total: all.length, waitingFor };
  }

  private lookForReplicas(): void {
    this.followReplicas().catch((error: unknown) => this.options.logger.error('replicas', error));
  }

  private onRosterChange(): void {
    this.changed.fire(this.snapshot);
    const planned = new Set(this.plan.services.map(service => service.id));
    const links = this.roster.ids.map(id => this.roster.get(id)!.snapshot);
    if (links.some(({ id, replicaOf }) => replicaOf !== undefined && !planned.has(id))) this.lookForReplicas();
    for (const service of this.plan.services) {
      const snapshot = this.roster.get(service.id)?.snapshot;
      if (snapshot?.external && snapshot.state.kind === 'unhealthy') void this.recovery?.recoverIfAway(service.id);
    }
  }
}
