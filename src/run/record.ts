import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { faultPoint } from '../base/fault.ts';
import { isPort, type Port } from '../model/port.ts';
import { SERVICE_ID_PATTERN, type ServiceId } from '../model/service.ts';
import { writeStateFile } from './state-file.ts';

const identity = z.object({ pid: z.int().check(z.positive()), startedAt: z.string() });

/**
 * What the disk knows of one service, written by its supervisor alone and whole each time: its ports, and
 * which processes to look for should the supervisor be killed.
 */
const recordSchema = z.object({
  version: z.literal(1),
  workspace: z.string(),
  service: z.string(),
  port: z.optional(z.custom<Port>(isPort)),
  /** The one of its band that it had last, where `port` is another: the preferred one, or a fixed one. */
  sticky: z.optional(z.custom<Port>(isPort)),
  /** What the user last asked for; a supervisor that died while this was `running` is started again. */
  wanted: z.enum(['running', 'stopped']),
  supervisor: identity,
  child: z.optional(identity),
  /** That of the generation to come, during a rolling restart. */
  beside: z.optional(identity),
  /** Those of the generations before, while they drain and end. */
  leaving: z.optional(z.array(identity)),
  /** In the environment of all of the service's processes, also of those that left its process group. */
  runMarker: z.string(),
});

export type ServiceRecord = z.infer<typeof recordSchema>;

/** The environment variable that carries `runMarker`. */
export const RUN_MARKER = 'HELIX_PORTS_RUN';
/** In the environment of the processes of one generation, by which they are told from those of the next. */
export const GENERATION_MARKER = 'HELIX_PORTS_GENERATION';

/** Names a stack's service among all on this machine, also where one user keeps several state folders. */
export const runMarker = (dir: string, id: ServiceId): string =>
  `${createHash('sha256').update(dir).digest('hex').slice(0, 16)}:${id}`;

/** The leaders that a killed supervisor may have left behind. */
export const childrenOf = (record: ServiceRecord | undefined): readonly z.infer<typeof identity>[] =>
  [record?.child, record?.beside, ...(record?.leaving ?? [])].filter(child => child !== undefined);

/** Where the service goes when it gets any port of its band. It is for the band to say whether that lies in it. */
export const stickyPort = (record: ServiceRecord | undefined): Port | undefined => record?.sticky ?? record?.port;

const recordPath = (dir: string, id: ServiceId): string => join(dir, `${id}.json`);

/** The record, or undefined where there is none or it is damaged: that costs the sticky port, never a start. */
export async function readRecord(dir: string, id: ServiceId): Promise<ServiceRecord | undefined> {
  try {
    const parsed = recordSchema.safeParse(JSON.parse(await readFile(recordPath(dir, id), 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** The services of which there is a record. */
export async function recordedServices(dir: string): Promise<ServiceId[]> {
  const names = (await readdir(dir)).filter(file => file.endsWith('.json')).map(file => file.slice(0, -'.json'.length));
  return names.filter(name => SERVICE_ID_PATTERN.test(name)) as ServiceId[];
}

/** Removes what a supervisor that was killed while it wrote has left. Only for the holder of the service's claim. */
export async function removeHalfWritten(dir: string, id: ServiceId): Promise<void> {
  const prefix = `${id}.json.`;
  const left = (await readdir(dir).catch(() => [])).filter(
    file => file.startsWith(prefix) && /^\d+$/.test(file.slice(prefix.length)),
  );
  await Promise.all(left.map(file => rm(join(dir, file), { force: true })));
}

/** Replaces the record in one step. One that says that the service is stopped takes the old one away at least. */
export async function writeRecord(dir: string, record: ServiceRecord): Promise<void> {
  const path = recordPath(dir, record.service as ServiceId);
  try {
    await writeStateFile(path, `${JSON.stringify(record)}\n`, () => faultPoint('record.halfWritten'));
  } catch (error) {
    if (record.wanted === 'running') throw error;
    // On a full disk: what was stopped would be taken for killed, and brought back. This costs the sticky port only.
    await rm(path, { force: true }).catch(() => {
      throw error;
    });
  }
}
