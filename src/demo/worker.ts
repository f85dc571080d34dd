import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { delay } from '../base/async.ts';
import { messageOf } from '../base/errors.ts';
import { work } from './agents/work.ts';
import { type ClaimedTask, claimTask, completeTask, extendLease, failTask, releaseTask } from './jobs.ts';
import { type Service, poll, runService } from './service.ts';

/** Takes tasks and does them. Opens no port. */
void runService('worker', async service => {
  const { database, env } = service;
  // Unique beyond the pid, which containers share.
  const name = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  await poll(service, 'worker', async () => {
    const task = await claimTask(database, name, env.leaseMs);
    if (!task) return false;
    await perform(service, task);
    return true;
  });
});

async function perform({ database, env, log, signal }: Service, task: ClaimedTask): Promise<void> {
  const label = `${task.agent} for job ${task.job.id}`;
  const heartbeat = setInterval(() => {
    extendLease(database, task, env.leaseMs).catch((error: unknown) => log.debug(messageOf(error)));
  }, env.leaseMs / 3);
  try {
    const began = performance.now();
    await delay(env.stepMs, signal);
    const output = work(task);
    const kept = await completeTask(database, task, output);
    const ms = Math.round(performance.now() - began);
    log.info(kept ? `${label} done in ${ms} ms` : `${label}: another worker took it over, result dropped`);
  } catch (error) {
    if (signal.aborted) {
      await releaseTask(database, task);
      log.info(`${label} handed back`);
      return;
    }
    log.warn(`${label}: ${messageOf(error)}`);
    await failTask(database, task, messageOf(error));
  } finally {
    clearInterval(heartbeat);
  }
}
