import { type FSWatcher, watch } from 'node:fs';
import { coalesce } from '../base/async.ts';
import { DisposableStore } from '../base/dispose.ts';
import { messageOf } from '../base/errors.ts';
import { CONFIG_FILE } from '../session/config-file.ts';
import { ENV_FILE, loadPlan } from '../session/load-plan.ts';
import type { Stack } from '../session/stack.ts';
import type { CliContext } from './context.ts';
import { publish } from './open-stack.ts';

/** Whoever writes over `.env.local`, or makes it writable again, does not tell; some file systems tell of nothing. */
const LOOK_AGAIN_MS = 2_000;
/** A file that is written in place is not whole at once. */
const SETTLE_MS = 100;

/**
 * What whoever keeps a stack does for it beside bringing back what was killed: has it follow the folder's files, and
 * keeps `.env.local` right.
 */
export class Upkeep {
  private readonly store = new DisposableStore();
  /** By what was tried; said once, until it was put right. */
  private readonly problems = new Map<string, string>();
  private settling: NodeJS.Timeout | undefined;

  /** The plan first: by an old one, what a command has just published by the new one would be taken back. */
  private readonly look = coalesce(async () => {
    await this.attempt('plan', () => this.followPlan());
    await this.attempt('publish', () => publish(this.stack));
  });

  constructor(
    private readonly context: CliContext,
    private readonly stack: Stack,
  ) {
    this.store.add(stack.onChange(() => void this.look()));
    const watcher = this.watchFolder();
    if (watcher) this.store.add({ dispose: () => watcher.close() });
    const timer = setInterval(() => void this.look(), LOOK_AGAIN_MS).unref();
    this.store.add({ dispose: () => clearInterval(timer) });
    this.store.add({ dispose: () => clearTimeout(this.settling) });
    void this.look();
  }

  /** Settles once `.env.local` was made right for the last time. */
  async end(): Promise<void> {
    this.store.dispose();
    await this.look();
  }

  private watchFolder(): FSWatcher | undefined {
    try {
      const watcher = watch(this.stack.plan.workspace, (_event, file) => {
        if (file !== null && file !== CONFIG_FILE && file !== ENV_FILE) return;
        clearTimeout(this.settling);
        this.settling = setTimeout(() => void this.look(), SETTLE_MS);
      });
      watcher.on('error', () => undefined);
      return watcher;
    } catch {
      return undefined;
    }
  }

  /** As long as the files cannot be used, or are gone, the last plan stays. */
  private async followPlan(): Promise<void> {
    const plan = await loadPlan(this.stack.plan.workspace);
    // Without its own file a folder may stand for a stack that lies below it.
    if (plan?.workspace !== this.stack.plan.workspace) return;
    if (JSON.stringify(plan) !== JSON.stringify(this.stack.plan)) this.stack.replacePlan(plan);
  }

  private async attempt(what: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
      this.problems.delete(what);
    } catch (error) {
      const message = messageOf(error);
      if (this.problems.get(what) !== message) this.context.err(message);
      this.problems.set(what, message);
    }
  }
}
