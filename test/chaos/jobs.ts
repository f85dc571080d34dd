import { setTimeout as sleep } from 'node:timers/promises';

const LIMIT_MS = 60_000;

/** Jobs given to the demo: none may get lost, whatever is killed meanwhile. */
export class Jobs {
  private readonly ids: string[] = [];

  /** @throws when the API does not take it */
  async submit(url: string): Promise<string> {
    const response = await fetch(`${url}/api/v1/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ prompt: 'A page that survives everything' }),
      signal: AbortSignal.timeout(20_000),
    });
    const { id, job_id: jobId } = (await response.json()) as { id?: string; job_id?: string };
    const found = id ?? jobId;
    if (response.status !== 201 || found === undefined) throw new Error(`POST /jobs answers ${response.status}`);
    this.ids.push(found);
    return found;
  }

  /** Why the job did not come out finished; undefined if it did. */
  async finish(url: string, id: string): Promise<string | undefined> {
    let status = 'unknown';
    for (const limit = Date.now() + LIMIT_MS; Date.now() < limit; await sleep(50)) {
      status = await statusOf(url, id).catch((error: unknown) => String(error));
      if (status === 'completed') return undefined;
      if (status === 'failed') break;
    }
    return `job ${id} is ${status}`;
  }

  /** Those of all jobs ever taken that are not finished now. */
  async lost(url: string): Promise<string[]> {
    const lost: string[] = [];
    for (const id of this.ids) {
      const status = await statusOf(url, id).catch((error: unknown) => String(error));
      if (status !== 'completed') lost.push(`job ${id} is ${status}`);
    }
    return lost;
  }

  get count(): number {
    return this.ids.length;
  }
}

async function statusOf(url: string, id: string): Promise<string> {
  const response = await fetch(`${url}/api/v1/jobs/${id}`, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) return `answered with ${response.status}`;
  return ((await response.json()) as { status: string }).status;
}
