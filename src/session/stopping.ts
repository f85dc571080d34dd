import { delay } from '../base/async.ts';
import type { PlannedService } from '../model/plan.ts';
import { isRunning, type ServiceId } from '../model/service.ts';
import { isClaimed } from '../run/claim.ts';
import { childrenOf, readRecord, writeRecord } from '../run/record.ts';
import { ServiceProcesses, stopSteps } from '../run/service-processes.ts';
import type { StopOutcome } from './outcomes.ts';
import type { StackContext } from './start-run.ts';

const LEFTOVER_STOP_MS = 5_000;
const CLIENT_LOOKS = 6;
const CLIENT_LOOK_MS = 200;

/** Stops the services that have a supervisor, dependents first, and ends their supervisors. */
export async function stopPresent(context: StackContext, only: readonly ServiceId[] | undefined): Promise<StopOutcome> {
  const { roster, plan } = context;
  await roster.refresh();
  const left: { id: ServiceId; reason: string }[] = [];
  const order = [...plan.services].reverse();
  const planned = new Set(order.map(service => service.id));
  const strays = roster.ids.filter(id => !planned.has(id) && (!only || only.includes(id)));
  const done = new Map<ServiceId, Promise<void>>();
  for (const service of order) {
    const dependents = order.filter(other => other.dependsOn.includes(service.id)).map(other => done.get(other.id)!);
    done.set(
      service.id,
      Promise.all(dependents).then(async () => {
        if (only && !only.includes(service.id)) return;
        const reason = await stopOne(context, service);
        if (reason) left.push({ id: service.id, reason });
      }),
    );
  }
  await Promise.all([...done.values(), ...strays.map(id => exit(context, id))]);
  return { left };
}

/** Answers why the service was left running, if it was. */
async function stopOne(context: StackContext, service: PlannedService): Promise<string | undefined> {
  const snapshot = context.roster.get(service.id)?.snapshot;
  if (service.kind === 'postgres' && snapshot && !snapshot.external && isRunning(snapshot.state)) {
    const others = await lastingClients(() => context.postgres.otherClients(service, context.plan).catch(() => 0));
    if (others > 0) return `${others} other client${others === 1 ? ' is' : 's are'} connected to it`;
  }
  await exit(context, service.id);
  return undefined;
}

/** A process that has just ended, such as a dependent that was stopped, is counted for a moment still. */
async function lastingClients(count: () => Promise<number>): Promise<number> {
  for (let looks = 1; ; looks++) {
    const clients = await count();
    if (clients === 0 || looks === CLIENT_LOOKS) return clients;
    await delay(CLIENT_LOOK_MS);
  }
}

/** Has the supervisor stop its service and end, and waits until it is gone. */
async function exit({ roster, disposal }: StackContext, id: ServiceId): Promise<void> {
  const link = roster.get(id);
  if (!link) return;
  const gone = roster.until(() => roster.get(id) !== link, disposal);
  await link.stop({ exit: true }).catch(() => undefined);
  await gone.catch(() => undefined);
}

/**
 * What services whose supervisor was killed have left behind is ended, and they are not brought back any more.
 * Only for the holder of the start's claim: nobody launches a supervisor meanwhile.
 */
export async function settleKilled(
  { dir, roster }: Pick<StackContext, 'dir' | 'roster'>,
  ids: readonly ServiceId[],
  say: (line: string) => void,
): Promise<void> {
  for (const id of ids) {
    const record = await readRecord(dir, id);
    if (!record || (record.wanted === 'stopped' && childrenOf(record).length === 0)) continue;
    if (roster.get(id) || (await isClaimed(dir, id))) continue;
    const processes = new ServiceProcesses({ marker: record.runMarker, say: line => say(`${id}: ${line}`) });
    await processes.endLeftovers(childrenOf(record), stopSteps(LEFTOVER_STOP_MS));
    const { child: _child, beside: _beside, leaving: _leaving, ...rest } = record;
    await writeRecord(dir, { ...rest, wanted: 'stopped' });
  }
}
