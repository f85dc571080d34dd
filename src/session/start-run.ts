import { ResponseError } from 'vscode-jsonrpc/node';
import { throwIfAborted } from '../base/async.ts';
import { CancelledError, isCancelled, UserError } from '../base/errors.ts';
import { faultPoint } from '../base/fault.ts';
import type { Plan, PlannedService } from '../model/plan.ts';
import { isRunning, type Problem, type RunSpec, type ServiceId, type StackSnapshot } from '../model/service.ts';
import { isClaimed } from '../run/claim.ts';
import { readRecord } from '../run/record.ts';
import type { ServiceLink } from './link.ts';
import type { Launcher, PostgresProvider, PythonProvider, ServiceFailure, StartOutcome } from './outcomes.ts';
import type { Roster } from './roster.ts';
import { fillSpec, wantsPython } from './spec.ts';
import { stopPresent } from './stopping.ts';
import type { StopTokens } from './stop-tokens.ts';

/** What the operations on a stack work on. */
export interface StackContext {
  readonly dir: string;
  readonly plan: Plan;
  readonly roster: Roster;
  readonly tokens: StopTokens;
  readonly launcher: Launcher;
  readonly postgres: PostgresProvider;
  readonly python: PythonProvider;
  /** Aborts when the stack is disposed. */
  readonly disposal: AbortSignal;
  readonly snapshot: () => StackSnapshot;
}

type BringUp =
  | { readonly kind: 'up' }
  | { readonly kind: 'failed'; readonly problem: Problem }
  | { readonly kind: 'skipped'; readonly because: ServiceId }
  /** Its supervisor went away. */
  | { readonly kind: 'lost' };

/** So long a supervisor is given to be there, and so often it is launched. */
const SUPERVISOR_UP_MS = 6_000;
const SUPERVISOR_LAUNCHES = 5;
const POSTGRES_TRIES = 5;
/** A supervisor that somebody kills while it starts its service is replaced so often. */
const MAX_LOSSES = 3;
const LAST_LINES = 20;

/** One start of a stack, from launching its supervisors to knowing how each service came out. */
export class StartRun {
  private readonly halt = new AbortController();
  private readonly signal: AbortSignal;
  private readonly outcomes = new Map<ServiceId, Promise<BringUp>>();
  private readonly stopTokens = new Map<ServiceId, string>();
  private stopAllToken = '';
  private ranBefore: ReadonlySet<ServiceId> = new Set();
  private readonly lost = new Set<ServiceId>();

  constructor(
    private readonly context: StackContext,
    /** In dependency order. */
    private readonly services: readonly PlannedService[],
    signal: AbortSignal,
  ) {
    this.signal = AbortSignal.any([signal, this.halt.signal]);
  }

  /** @throws {CancelledError} when it was cancelled or everything was stopped meanwhile; what it began is undone. */
  async run(): Promise<StartOutcome> {
    const { roster } = this.context;
    await this.readTokens();
    this.ranBefore = new Set(this.services.filter(service => this.isRunning(service.id)).map(service => service.id));
    // Other services going down is how a stop elsewhere shows first.
    const watches = [
      roster.onChange(() => void this.haltIfStopped()),
      roster.onLost(service => this.lost.add(service.id)),
    ];
    try {
      await Promise.all(this.services.map(service => this.launch(service)));
      faultPoint('client.launched');
      for (const service of this.services) this.outcomes.set(service.id, this.afterDependencies(service));
      const settled = await Promise.allSettled(this.outcomes.values());
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

  private async afterDependencies(service: PlannedService): Promise<BringUp> {
    for (const id of service.dependsOn) {
      const dependency = await this.outcomes.get(id);
      if (dependency && dependency.kind !== 'up') return { kind: 'skipped', because: id };
    }
    return this.bringUp(service);
  }

  /** Has the service's supervisor start it, and waits until it is healthy or has failed. */
  private async bringUp(service: PlannedService): Promise<BringUp> {
    const { id, label } = service;
    for (let tries = 1, losses = 0; ;) {
      await this.haltIfStopped();
      throwIfAborted(this.signal);
      if (await this.wasStopped(id)) return stoppedMeanwhile(label);
      if (this.lost.delete(id)) await this.launch(service);
      const link = await this.supervisorOf(service);
      if (!link) return failure(`The terminal of ${label} did not start. Look at the log of this extension.`);
      const result = await this.runOn(link, service);
      if (result.kind === 'lost') {
        const record = await readRecord(this.context.dir, id);
        if (record?.wanted === 'stopped' || ++losses > MAX_LOSSES) {
          return failure(`The terminal of ${label} was closed.`);
        }
        continue;
      }
      // The race for a fixed port between two workspaces: whoever lost finds the winner's server to reuse.
      const mayReuse = result.kind === 'failed' && service.kind === 'postgres' && tries++ < POSTGRES_TRIES;
      const { postgres, plan } = this.context;
      if (!mayReuse || !(await postgres.isReusable(service, plan, this.signal))) return result;
    }
  }

  /** A supervisor that was killed before anybody could talk to it is not missed by anybody else. */
  private async supervisorOf(service: PlannedService): Promise<ServiceLink | undefined> {
    const { dir, roster } = this.context;
    for (let left = SUPERVISOR_LAUNCHES; left > 0; left--) {
      const link = await roster.waitFor(service.id, SUPERVISOR_UP_MS, this.signal);
      if (link) return link;
      if (!(await isClaimed(dir, service.id))) await this.launch(service);
    }
    return undefined;
  }

  private async runOn(link: ServiceLink, service: PlannedService): Promise<BringUp> {
    const { state, external } = link.snapshot;
    const fine = isRunning(state) && state.kind !== 'stopping' && !(external && state.kind === 'unhealthy');
    try {
      if (!fine) {
        const spec = await this.specFor(service);
        await (external ? link.restart(spec) : link.start(spec));
        faultPoint('client.specSent');
        if (await this.wasStopped(service.id)) {
          await link.stop({ exit: true });
          return stoppedMeanwhile(service.label);
        }
      }
      return await untilSettled(this.context.roster, link, service, this.signal);
    } catch (error) {
      if (error instanceof UserError) return failure(error.message);
      if (isCancelled(error) || error instanceof ResponseError) throw error;
      // Whatever else goes wrong on a connection, it has ended or is about to.
      await this.context.roster.until(() => this.context.roster.get(service.id) !== link, this.signal);
      return { kind: 'lost' };
    }
  }

  private async specFor(service: PlannedService): Promise<RunSpec> {
    const { plan, postgres, python, snapshot } = this.context;
    if (service.kind === 'postgres') return postgres.prepare(service, plan, this.signal);
    const path = wantsPython(service) ? (await python(plan)).path : undefined;
    return fillSpec(service, snapshot(), plan.environment, path);
  }

  private async launch(service: PlannedService): Promise<void> {
    const { dir, launcher, roster } = this.context;
    if (roster.get(service.id)) return;
    await launcher.launch(service, ['--dir', dir, '--service', service.id]);
  }

  private isRunning(id: ServiceId): boolean {
    const state = this.context.roster.get(id)?.snapshot.state;
    return state !== undefined && isRunning(state) && state.kind !== 'stopping';
  }

  private async readTokens(): Promise<void> {
    const { tokens } = this.context;
    this.stopAllToken = await tokens.read();
    for (const { id } of this.services) this.stopTokens.set(id, await tokens.read(id));
  }

  private async wasStopped(id: ServiceId): Promise<boolean> {
    return (await this.context.tokens.read(id)) !== this.stopTokens.get(id);
  }

  private async haltIfStopped(): Promise<void> {
    if ((await this.context.tokens.read()) !== this.stopAllToken) this.halt.abort(new CancelledError());
  }

  private async conclude(): Promise<StartOutcome> {
    const outcomes = new Map<ServiceId, BringUp>();
    for (const [id, outcome] of this.outcomes) outcomes.set(id, await outcome);
    const failures = failuresOf(outcomes, this.context.snapshot());
    if (failures.length > 0) await this.closeIdle();
    const snapshot = this.context.snapshot();
    return failures.length > 0 ? { kind: 'failed', failures, snapshot } : { kind: 'started', snapshot };
  }

  /** A cancelled start takes back what it began and leaves alone what ran before. */
  private async undo(): Promise<void> {
    await Promise.allSettled(this.outcomes.values());
    const begun = this.services.map(service => service.id).filter(id => !this.ranBefore.has(id));
    await stopPresent(this.context, begun);
  }

  /** Supervisors that were brought up for services that then were not started. */
  private async closeIdle(): Promise<void> {
    const { roster } = this.context;
    const links = this.services.map(service => roster.get(service.id)).filter(link => link !== undefined);
    const idle = links.filter(link => link.snapshot.state.kind === 'stopped');
    await Promise.all(idle.map(link => link.stop({ exit: true }).catch(() => undefined)));
  }
}

/** Waits until the service is healthy, or has failed, or its supervisor is gone. */
export async function untilSettled(
  roster: Roster,
  link: ServiceLink,
  { id, label }: PlannedService,
  signal: AbortSignal,
): Promise<Exclude<BringUp, { kind: 'skipped' }>> {
  const isSettled = (): boolean => {
    const { kind } = link.snapshot.state;
    return roster.get(id) !== link || kind === 'healthy' || kind === 'failed' || kind === 'stopped';
  };
  await roster.until(isSettled, signal);
  if (roster.get(id) !== link) return { kind: 'lost' };
  const { state } = link.snapshot;
  if (state.kind === 'healthy') return { kind: 'up' };
  if (state.kind === 'failed') return { kind: 'failed', problem: state.problem };
  return stoppedMeanwhile(label, await link.tail(LAST_LINES).catch(() => []));
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

const stoppedMeanwhile = (label: string, lastLines: readonly string[] = []): BringUp & { kind: 'failed' } =>
  failure(`${label} was stopped before it was healthy.`, lastLines);

const failure = (message: string, lastLines: readonly string[] = []): BringUp & { kind: 'failed' } => ({
  kind: 'failed',
  problem: { message, lastLines },
});
