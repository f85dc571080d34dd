import type { PlannedService } from '../model/plan.ts';
import type { ServiceId } from '../model/service.ts';
import { isClaimed } from '../run/claim.ts';
import type { ServiceLink } from './link.ts';
import type { Launched } from './outcomes.ts';
import type { StackContext } from './start-run.ts';

/** So long a launched supervisor is given to be there before another one is launched. */
const UP_MS = 6_000;
const MAX_LAUNCHES = 5;
const LIMIT_MS = 30_000;
/** One that somebody else has launched is not heard of when it dies, so it is looked for that often. */
const LOOK_MS = 1_000;

interface Launch extends Launched {
  readonly overdueAt: number;
}

/** The supervisors that one start needs. One that dies before it can be talked to is launched again at once. */
export class Supervisors {
  private readonly launches = new Map<ServiceId, Launch>();

  constructor(private readonly context: Pick<StackContext, 'dir' | 'launcher' | 'roster'>) {}

  /** Launches one, unless one runs or is on its way. Answers whether it did. */
  async ensure(service: PlannedService): Promise<boolean> {
    const { dir, launcher, roster } = this.context;
    const { id } = service;
    if (roster.get(id) || this.isOnItsWay(id) || (await isClaimed(dir, id))) return false;
    const { ended } = await launcher.launch(service, ['--dir', dir, '--service', id]);
    const launch: Launch = { ended, overdueAt: Date.now() + UP_MS };
    this.launches.set(id, launch);
    void ended.then(() => {
      if (this.launches.get(id) === launch) this.launches.delete(id);
    });
    return true;
  }

  /** The service's supervisor, launched if need be; undefined when there is none after many tries. */
  async linkTo(service: PlannedService, signal: AbortSignal): Promise<ServiceLink | undefined> {
    const { id } = service;
    const limit = Date.now() + LIMIT_MS;
    for (let launched = 0; launched < MAX_LAUNCHES && Date.now() < limit;) {
      if (await this.ensure(service)) launched++;
      const ended = this.launches.get(id)?.ended;
      const link = await this.context.roster.waitFor(id, { ms: LOOK_MS, signal, ...(ended && { ended }) });
      if (link) return link;
    }
    return undefined;
  }

  /** Waits for those that were launched a moment ago, so that they can be told to end. */
  async untilThere(signal: AbortSignal): Promise<void> {
    const { roster } = this.context;
    const coming = [...this.launches].filter(([id]) => !roster.get(id));
    await Promise.allSettled(
      coming.map(([id, { ended, overdueAt }]) =>
        roster.waitFor(id, { ms: Math.max(0, overdueAt - Date.now()), signal, ended }),
      ),
    );
  }

  /** It is known to be gone, whether its launcher has been told or not. */
  forget(id: ServiceId): void {
    this.launches.delete(id);
  }

  private isOnItsWay(id: ServiceId): boolean {
    const launch = this.launches.get(id);
    return launch !== undefined && Date.now() < launch.overdueAt;
  }
}
