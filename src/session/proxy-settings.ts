import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { Plan } from '../model/plan.ts';
import { writeStateFile } from '../run/state-file.ts';

/** No service's id begins with a dot, so that no record can be taken for it. */
export const PROXY_SETTINGS_FILE = '.proxy.json';

const schema = z.object({
  workspace: z.string(),
  engine: z.enum(['embedded', 'nginx']),
  /** Empty: the one on the PATH. */
  nginxPath: z.string(),
  drainMs: z.number(),
  /** Templates: `${url:web}` is filled in once `web` has an address. */
  origins: z.array(z.string()),
});

/** What the proxy's process is told beside its port. It follows the file, so that all of it can change while it runs. */
export type ProxySettings = Readonly<z.infer<typeof schema>>;

export async function readProxySettings(dir: string): Promise<ProxySettings | undefined> {
  try {
    const parsed = schema.safeParse(JSON.parse(await readFile(join(dir, PROXY_SETTINGS_FILE), 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Writes what the plan says, if that differs from what is there. */
export async function writeProxySettings(dir: string, { workspace, proxy }: Plan): Promise<void> {
  const { engine, nginxPath, drainMs, origins } = proxy;
  const text = `${JSON.stringify({ workspace, engine, nginxPath, drainMs, origins })}\n`;
  const file = join(dir, PROXY_SETTINGS_FILE);
  if ((await readFile(file, 'utf8').catch(() => '')) === text) return;
  await writeStateFile(file, text);
}
