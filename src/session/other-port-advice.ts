import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { PROXY_ID } from '../model/front.ts';
import type { Plan } from '../model/plan.ts';
import type { StackSnapshot } from '../model/service.ts';

/** Kept in the stack's folder, one for each port: what is said once is said once, whichever client says it. */
const TOLD = '.proxy-told.';

/**
 * What to tell the user about a proxy that is not on the port where everybody looks for it, the first time that it is
 * on that other one. Undefined when there is nothing to say, or it was said before.
 */
export async function otherPortAdvice(
  dir: string,
  plan: Plan,
  { services }: StackSnapshot,
): Promise<string | undefined> {
  const proxy = services.find(({ id }) => id === PROXY_ID);
  if (proxy?.url === undefined || proxy.readyPort === undefined || proxy.readyPort === plan.proxy.port)
    return undefined;
  try {
    await writeFile(join(dir, `${TOLD}${proxy.readyPort}`), '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    // Where it cannot be kept (a full disk), it is said again.
    if (codeOf(error) === 'EEXIST') return undefined;
  }
  const why = proxy.note ?? `${plan.proxy.port} is left to others; here it is ${proxy.readyPort}`;
  return `The API of this workspace keeps the address ${proxy.url}: ${why}.`;
}
