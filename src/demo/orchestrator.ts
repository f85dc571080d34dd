import { orchestrate } from './jobs.ts';
import { poll, runService } from './service.ts';

/** Turns jobs into tasks, one step of the workflow after another. Opens no port. */
void runService('orchestrator', async service => {
  const { database, log } = service;
  await poll(service, 'orchestrator', async () => {
    const { begun, moved, ended } = await orchestrate(database);
    for (const id of begun) log.info(`job ${id} begins`);
    for (const id of moved) log.debug(`job ${id} goes on`);
    for (const id of ended) log.info(`job ${id} ended`);
    return begun.length + moved.length + ended.length > 0;
  });
});
