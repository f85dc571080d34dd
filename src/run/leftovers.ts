import type { ServiceId } from '../model/service.ts';
import { isSame, processesWithEnvironment } from './processes.ts';
import { childrenOf, readRecord, RUN_MARKER, runMarker } from './record.ts';

/** Whether processes of this service run that a killed supervisor left behind. Ask only when no supervisor runs it. */
export async function hasLeftovers(dir: string, id: ServiceId): Promise<boolean> {
  const record = await readRecord(dir, id);
  for (const child of childrenOf(record)) if (await isSame(child)) return true;
  return (await processesWithEnvironment(RUN_MARKER, runMarker(dir, id))).length > 0;
}
