import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { MAX_REPLICAS, type ReplicaCounts } from '../model/replicas.ts';
import { SERVICE_ID_PATTERN } from '../model/service.ts';
import { stackDir } from '../run/runtime-dir.ts';
import { writeStateFile } from '../run/state-file.ts';

/** No service's id begins with a dot, so that no record can be taken for it. */
const FILE = '.replicas.json';

const schema = z.record(
  z.string().check(z.regex(SERVICE_ID_PATTERN)),
  z.int().check(z.minimum(1), z.maximum(MAX_REPLICAS)),
);

/** What was chosen while the workspace's services ran. A file that is damaged costs that choice, never a start. */
export async function readReplicaCounts(workspace: string): Promise<ReplicaCounts> {
  try {
    const parsed = schema.safeParse(JSON.parse(await readFile(join(stackDir(workspace), FILE), 'utf8')));
    return parsed.success ? parsed.data : {};
  } catch {
    return {};
  }
}

/** Keeps the choice for this service; the others' stay. */
export async function writeReplicaCount(workspace: string, id: string, count: number): Promise<void> {
  const counts = { ...(await readReplicaCounts(workspace)), [id]: count };
  await writeStateFile(join(stackDir(workspace), FILE), `${JSON.stringify(counts)}\n`);
}
