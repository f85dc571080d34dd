import { stat } from 'node:fs/promises';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { delay } from '../base/async.ts';
import { isCancelled } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { isRunning, type ServiceId, type ServiceSnapshot } from '../model/service.ts';
import { childrenOf, readRecord } from '../run/record.ts';
import type { StackContext } from './start-run.ts';
import type { StartOutcome } from './outcomes.ts';

/** A supervisor that ends in order writes that first; its end may be seen before that. */
const SETTLE_MS = 50;

export interface RecoveryOptions {
  /** Asked for anew each time, since the plan can change. */
  readonly context: () => StackContext;
  readonly logger: Logger;
  /** Starts one service if `isDue` still holds once nobody else starts or stops anything. */
  readonly start: (id: ServiceId, isDue: () => Promise<boolean>) => Promise<StartOutcome>;
  /** Ends what a supervisor that was killed while it stopped its service has left behind. */
  readonly settle: (id: ServiceId) => Promise<void>;
}

/** Brings back what ended although nobody asked for it. */
export class Recovery {
  private readonly recovering = new Set<ServiceId>();
  /** Lost once more while they were brought back, maybe too late for that start to notice. */
  private readonly lostAgain = new Map<ServiceId, ServiceSnapshot | undefined>();

  constructor(private readonly options: RecoveryOptions) {}

  /**
   * A supervisor that is gone without having written that it was told to stop was killed. Where its record is damaged,
   * what was last seen of it (`last`) tells whether it was meant to run.
   */
  async recoverIfKilled(id: ServiceId, last?: ServiceSnapshot): Promise<void> {
    await delay(SETTLE_MS);
    const context = this.options.context();
    if (context.roster.get(id)) return;
    if (this.recovering.has(id)) return void this.lostAgain.set(id, last);
    const record = await readRecord(context.dir, id);
    if (!record) {
      if (last && isMeantToRun(last)) await this.recover(id, () => this.isKilled(id, last));
      return;
    }
    if (await this.isFromEarlierBoot(id)) return;
    if (record.wanted === 'running') await this.recover(id, () => this.isKilled(id, last));
    else if (childrenOf(record).length > 0)
      await this.options.settle(id).catch((error: unknown) => this.tell(id, error));
  }

  /** A server that was reused has gone away: one of our own takes its place. */
  recoverIfAway(id: ServiceId): Promise<void> {
    return this.recover(id, () => Promise.resolve(this.isAway(id)));
  }

  private isAway(id: ServiceId): boolean {
    const snapshot = this.options.context().roster.get(id)?.snapshot;
    return snapshot !== undefined && snapshot.external && snapshot.state.kind === 'unhealthy';
  }

  private async isKilled(id: ServiceId, last: ServiceSnapshot | undefined): Promise<boolean> {
    const { dir, roster } = this.options.context();
    if (roster.get(id)) return false;
    const record = await readRecord(dir, id);
    return record ? record.wanted === 'running' : last !== undefined && isMeantToRun(last);
  }

  private async recover(id: ServiceId, isDue: () => Promise<boolean>): Promise<void> {
    const { logger, start } = this.options;
    const context = this.options.context();
    if (!context.plan.services.some(service => service.id === id)) return;
    if (this.recovering.has(id) || context.disposal.aborted) return;
    this.recovering.add(id);
    try {
      logger.warn(`${id} is brought back: its supervisor or server is gone`);
      const outcome = await start(id, isDue);
      if (outcome.kind === 'failed') {
        for (const one of outcome.failures) logger.error(`${one.service.id}: ${one.problem.message}`);
      }
    } catch (error) {
      this.tell(id, error);
    } finally {
      this.recovering.delete(id);
      const wasLost = this.lostAgain.has(id);
      const last = this.lostAgain.get(id);
      this.lostAgain.delete(id);
      if (wasLost && !context.disposal.aborted) void this.recoverIfKilled(id, last);
    }
  }

  private tell(id: ServiceId, error: unknown): void {
    if (!isCancelled(error)) this.options.logger.error(`${id} could not be brought back or ended`, error);
  }

  /** After a reboot nothing comes up by itself: nobody asked for it. */
  private async isFromEarlierBoot(id: ServiceId): Promise<boolean> {
    try {
      const { mtimeMs } = await stat(join(this.options.context().dir, `${id}.json`));
      return mtimeMs < Date.now() - uptime() * 1000;
    } catch {
      return true;
    }
  }
}

const isMeantToRun = ({ state }: ServiceSnapshot): boolean => isRunning(state) && state.kind !== 'stopping';
