import { throwIfAborted } from '../base/async.ts';
import { CancelledError, isCancelled, UserError } from '../base/errors.ts';
import { faultPoint } from '../base/fault.ts';
import { PROXY_ID } from '../model/front.ts';
import type { Plan, PlannedService } from '../model/plan.ts';
import { isRunning, type RunSpec, type ServiceId, type ServiceSnapshot, type StackSnapshot } from '../model/service.ts';
import { readRecord } from '../run/record.ts';
import { type BringUp, failure, settle, stoppedMeanwhile } from './bring-up.ts';
import type { ServiceLink } from './link.ts';
import type { Launcher, PostgresProvider, PythonProvider, ServiceFailure, StartOutcome } from './outcomes.ts';
import type { Roster } from './roster.ts';
import { fillSpec, namesFronted, wantsPython } from './spec.ts';
import { specFor } from './spec-for.ts';
import { stopPresent } from './stopping.ts';
import type { StopTokens } from './stop-tokens.ts';
import { Supervisors } from './supervisors.ts';

/** What the operations on a stack work on. */
export interface StackContext {
  readonly dir: string;
  readonly plan: Plan;
  readonly roster: Roster;
  readonly tokens: StopTokens;
  readonly launcher: Launcher;
  readonly postgres: PostgresProvider;
  readonly python: PythonProvider;
  /** The built `src/proxy.ts`. */
  readonly proxyProgram: string;
  /** Aborts when the stack is disposed. */
  readonly disposal: AbortSignal;
  readonly snapshot: () => StackSnapshot;
}

const POSTGRES_TRIES = 5;
/** A supervisor that somebody kills while it starts its service is replaced so often. */
const MAX_LOSSES = 5;

/** One start of a stack, from launching its supervisors to knowing how each service came out. */
export class StartRun {
  private readonly halt = new AbortController();
  private readonly signal: AbortSignal;
  private readonly supervisors: Supervisors;
  /** How each service comes out. One that is lost after it was up is brought up again, which is its outcome then. */
  private readonly outcomes = new Map<ServiceId, Promise<BringUp>>();
  private readonly up = new Set<ServiceId>();
  private readonly losses = new Map<ServiceId, number>();
  private readonly stopTokens = new Map<ServiceId, string>();
  private stopAllToken = '';
  private ranBefore: ReadonlySet<ServiceId> = new Set();
  /** Searches for a PostgreSQL that are under way while its supervisor comes up; each is used once. */
  private readonly prepared = new Map<ServiceId, Promise<RunSpec>>();

  constructor(
    private readonly context: StackContext,
    /** In dependency order. */
    private readonly services: readonly PlannedService[],
    private readonly askedAt: number,
    signal: AbortSignal,
  ) {
    this.signal = AbortSignal.any([signal, this.halt.signal]);
    this.supervisors = new Supervisors(context);
  }

  /** @throws {CancelledError} when it was cancelled or everything was stopped meanwhile; what it began is undone. */
  async run(): Promise<StartOutcome> {
    const { roster } = this.context;
    await this.readTokens();
    await this.haltIfStopped();
    throwIfAborted(this.signal);
    this.ranBefore = new Set(this.services.filter(service => this.isRunning(service.id)).map(service => service.id));
    // Other services going down is how a stop elsewhere shows first.
    const watches = [roster.onChange(() => void this.haltIfStopped()), roster.onLost(lost => this.onLost(lost))];
    try {
      for (const service of this.services) this.prepare(service);
      const first = this.services.filter(({ dependsOn }) => !this.services.some(({ id }) => dependsOn.includes(id)));
      await Promise.all(first.map(service => this.supervisors.ensure(service)));
      faultPoint('client.launched');
      for (const service of first) this.begin(service, this.bringUp(service));
      const begun = this.haveBegun(first);
      // Where nobody follows, nobody hears that it was cancelled.
      begun.catch(() => undefined);
      for (const service of this.services)
        if (!first.includes(service)) this.begin(service, this.follow(service, begun));
      const settled = await this.settled();
      await this.haltIfStopped();
      throwIfAborted(this.signal);
      const broken = settled.find(one => one.status === 'rejected');
      if (broken) throw broken.reason;
      return await this.conclude();
    } catch (error) {
      if (isCancelled(error)) await this.undo();
      throw error;
    } finally {
      for (const watch of watches) watch.dispose();
    }
  }

  /** Begins to look for a PostgreSQL that is going to be needed. */
  private prepare(service: PlannedService): void {
    if (service.kind !== 'postgres' || this.isRunning(service.id)) return;
    const { postgres, plan } = this.context;
    const spec = postgres.prepare(service, plan, this.signal);
    // Whoever uses it hears of it; when the service turns out to run, nobody does.
    spec.catch(() => undefined);
    this.prepared.set(service.id, spec);
  }

  /** True once each of these is on its way, false if all have come out before that. */
  private async haveBegun(services: readonly PlannedService[]): Promise<boolean> {
    const { roster } = this.context;
    const over = new AbortController();
    const isBegun = ({ id }: PlannedService): boolean =>
      (roster.get(id)?.snapshot.state.kind ?? 'stopped') !== 'stopped';
    const allBegun = roster.until(() => services.every(isBegun), AbortSignal.any([this.signal, over.signal]));
    const allOut = Promise.allSettled(services.map(({ id }) => this.outcomes.get(id)!));
    try {
      return await Promise.race([allBegun.then(() => true), allOut.then(() => false)]);
    } finally {
      over.abort();
    }
  }

  /**
   * Supervisors of services that have to wait come up while those before them start. All at once they would share the
   * processor with the one that everything waits for.
   */
  private async follow(service: PlannedService, begun: Promise<boolean>): Promise<BringUp> {
    const isDue = await begun;
    throwIfAborted(this.signal);
    if (isDue) await this.supervisors.ensure(service);
    return this.bringUp(service);
  }

  private begin({ id }: PlannedService, outcome: Promise<BringUp>): void {
    this.up.delete(id);
    const noted = outcome.then(result => {
      if (result.kind === 'up') this.up.add(id);
      return result;
    });
    // It may be looked at only after others have settled.
    noted.catch(() => undefined);
    this.outcomes.set(id, noted);
  }

  private onLost(lost: ServiceSnapshot): void {
    this.supervisors.forget(lost.id);
    const service = this.services.find(({ id }) => id === lost.id);
    if (service && this.up.has(service.id)) this.begin(service, this.bringBack(service, lost));
  }

  /** The outcomes once none is open any more, also of services that were lost while others came up. */
  private async settled(): Promise<PromiseSettledResult<BringUp>[]> {
    for (;;) {
      const awaited = [...this.outcomes.values()];
      const settled = await Promise.allSettled(awaited);
      if ([...this.outcomes.values()].every((outcome, index) => outcome === awaited[index])) return settled;
    }
  }

  private async bringBack(service: PlannedService, lost: ServiceSnapshot): Promise<BringUp> {
    return (await this.whyGone(service, lost)) ?? this.bringUp(service);
  }

  /** Has the service's supervisor start it, and waits until it is healthy or has failed. */
  private async bringUp(service: PlannedService): Promise<BringUp> {
    // Whoever is given the API's address gets the one that stays; without a proxy it is called directly.
    if (namesFronted(service)) await Promise.resolve().then(() => this.outcomes.get(PROXY_ID));
    const { id, label } = service;
    for (let tries = 1; ;) {
      const missing = await this.missing(service);
      if (missing !== undefined) return { kind: 'skipped', because: missing };
      await this.haltIfStopped();
      throwIfAborted(this.signal);
      if (await this.wasStopped(id)) return stoppedMeanwhile(label);
      const link = await this.supervisors.linkTo(service, this.signal);
      if (!link) return failure(`The supervisor of ${label} did not start. Look at its terminal and at the log.`);
      const result = await this.runOn(link, service);
      if (result.kind === 'lost') {
        const gone = await this.whyGone(service, link.snapshot);
        if (gone) return gone;
        continue;
      }
      // The race for a fixed port between two workspaces: whoever lost finds the winner's server to reuse.
      const mayReuse = result.kind === 'failed' && service.kind === 'postgres' && tries++ < POSTGRES_TRIES;
      const { postgres, plan } = this.context;
      if (!mayReuse || !(await postgres.isReusable(service, plan, this.signal))) return result;
    }
  }

  /**
   * Waits for what the service depends on. The first one that did not come up; undefined when all are up and have
   * their addresses, which holds until something else is awaited.
   */
  private async missing({ dependsOn }: PlannedService): Promise<ServiceId | undefined> {
    const { roster } = this.context;
    for (;;) {
      const awaited = dependsOn.map(id => this.outcomes.get(id));
      for (const [index, id] of dependsOn.entries()) {
        const outcome = await awaited[index];
        if (outcome && outcome.kind !== 'up') return id;
      }
      if (dependsOn.some((id, index) => this.outcomes.get(id) !== awaited[index])) continue;
      if (!dependsOn.some(id => this.isMoving(id))) return undefined;
      await roster.until(() => !dependsOn.some(id => this.isMoving(id)), this.signal);
    }
  }

  /** It has lost its port to a stranger and does not have another one yet. */
  private isMoving(id: ServiceId): boolean {
    const snapshot = this.context.roster.get(id)?.snapshot;
    const hasPorts = this.services.find(service => service.id === id)?.port.kind !== 'none';
    return hasPorts && snapshot !== undefined && isRunning(snapshot.state) && snapshot.port === undefined;
  }

  /**
   * Why a supervisor that is gone is not replaced. One that was told to end writes that down first; one that was
   * killed does not, and what an earlier one has written says nothing about it.
   */
  private async whyGone({ id, label }: PlannedService, lost: ServiceSnapshot): Promise<BringUp | undefined> {
    if (await this.wasStopped(id)) return stoppedMeanwhile(label);
    const record = await readRecord(this.context.dir, id);
    const wasClosed = record?.wanted === 'stopped' && record.supervisor.pid === lost.supervisorPid;
    const losses = (this.losses.get(id) ?? 0) + 1;
    this.losses.set(id, losses);
    if (wasClosed) {
      return failure(`${label} was closed on its way, by a stop, Ctrl-C or the end of its terminal. Start it again.`);
    }
    if (losses <= MAX_LOSSES) return undefined;
    return failure(`The supervisor of ${label} was killed ${losses} times. Find out by what, and start it again.`);
  }

  private async runOn(link: ServiceLink, service: PlannedService): Promise<BringUp> {
    const { state, external } = link.snapshot;
    const fine = isRunning(state) && state.kind !== 'stopping' && !(external && state.kind === 'unhealthy');
    try {
      const spec = fine ? undefined : await this.specFor(service);
      if (spec && 'because' in spec) return { kind: 'skipped', ...spec };
      const ask = async (): Promise<void> => {
        if (!spec) return;
        await (external ? link.restart(spec) : link.start(spec));
        faultPoint('client.specSent');
        if (await this.wasStopped(service.id)) await link.stop({ exit: true });
      };
      return await settle(link, service, { roster: this.context.roster, signal: this.signal, ask });
    } catch (error) {
      if (error instanceof UserError) return failure(error.message, [], error.action);
      throw error;
    }
  }

  /** The spec, or the dependency that has gone meanwhile and did not come back. */
  private async specFor(service: PlannedService): Promise<RunSpec | { readonly because: ServiceId }> {
    const prepared = this.prepared.get(service.id);
    if (prepared && this.prepared.delete(service.id)) return prepared;
    const { plan, python, snapshot } = this.context;
    if (service.kind !== 'process') return specFor(this.context, service, this.signal);
    const path = wantsPython(service) ? (await python(plan)).path : undefined;
    const because = await this.missing(service);
    return because === undefined ? fillSpec(service, snapshot(), plan.environment, path) : { because };
  }

  private isRunning(id: ServiceId): boolean {
    const state = this.context.roster.get(id)?.snapshot.state;
    return state !== undefined && isRunning(state) && state.kind !== 'stopping';
  }

  private async readTokens(): Promise<void> {
    const { tokens } = this.context;
    this.stopAllToken = await tokens.readAsOf(this.askedAt);
    for (const { id } of this.services) this.stopTokens.set(id, await tokens.readAsOf(this.askedAt, id));
  }

  private async wasStopped(id: ServiceId): Promise<boolean> {
    return (await this.context.tokens.read(id)) !== this.stopTokens.get(id);
  }

  private async haltIfStopped(): Promise<void> {
    if ((await this.context.tokens.read()) !== this.stopAllToken) this.halt.abort(new CancelledError());
  }

  private async conclude(): Promise<StartOutcome> {
    const outcomes = new Map<ServiceId, BringUp>();
    for (const { id } of this.services) outcomes.set(id, await this.outcomes.get(id)!);
    const failures = failuresOf(outcomes, this.context.snapshot());
    if (failures.length > 0) await this.closeIdle();
    const snapshot = this.context.snapshot();
    return failures.length > 0 ? { kind: 'failed', failures, snapshot } : { kind: 'started', snapshot };
  }

  /** A cancelled start takes back what it began and leaves alone what ran before. */
  private async undo(): Promise<void> {
    await Promise.allSettled(this.outcomes.values());
    await this.supervisors.untilThere(this.context.disposal);
    const begun = this.services.map(service => service.id).filter(id => !this.ranBefore.has(id));
    await stopPresent(this.context, begun);
  }

  /** Supervisors that were brought up for services that then were not started. */
  private async closeIdle(): Promise<void> {
    const { roster, disposal } = this.context;
    await this.supervisors.untilThere(disposal);
    const links = this.services.map(service => roster.get(service.id)).filter(link => link !== undefined);
    const idle = links.filter(link => link.snapshot.state.kind === 'stopped');
    await Promise.all(idle.map(link => link.stop({ exit: true }).catch(() => undefined)));
  }
}

/** Each service that failed, with those that were not started because of it, near or far. */
function failuresOf(outcomes: ReadonlyMap<ServiceId, BringUp>, { services }: StackSnapshot): ServiceFailure[] {
  const rootOf = (id: ServiceId): ServiceId => {
    const outcome = outcomes.get(id);
    return outcome?.kind === 'skipped' ? rootOf(outcome.because) : id;
  };
  return [...outcomes].flatMap(([id, outcome]) => {
    if (outcome.kind !== 'failed') return [];
    const skipped = [...outcomes.keys()].filter(other => other !== id && rootOf(other) === id);
    return { service: services.find(one => one.id === id)!, problem: outcome.problem, skipped };
  });
}
