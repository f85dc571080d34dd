import type { Endpoints } from '../model/endpoints.ts';
import { ENDPOINTS_PATH, HEALTH_PATH } from '../model/endpoints.ts';
import type { Page } from './page.ts';

/** What a healthy HELIX API says. `workspace` is an extension of ours, and missing from HELIX v2.0's own. */
export interface Health {
  readonly status: 'healthy';
  readonly components: unknown;
  readonly workspace?: string;
}

/**
 * A browser opens at most 256 connections at once for all its pages together (Chromium's limit; it has none for one host
 * with many ports), and lets further ones wait. Ours wait here instead, so that their time does not run out meanwhile.
 */
const LANES = 128;

/** Runs so many tasks at once, the others in the order in which they came. */
export class Lanes {
  readonly #waiting: (() => void)[] = [];
  #free = LANES;

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>(resolve => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

export interface Limits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Asks addresses about HELIX. Whatever goes wrong is no answer: nothing here throws. */
export class Requests {
  readonly #page: Page;
  readonly #lanes = new Lanes();

  constructor(page: Page) {
    this.#page = page;
  }

  async health(base: string, limits: Limits): Promise<Health | undefined> {
    const answer = (await this.#json(base + HEALTH_PATH, limits)) as Partial<Health> | null | undefined;
    return answer?.status === 'healthy' && answer.components ? (answer as Health) : undefined;
  }

  async endpoints(base: string, limits: Limits): Promise<Endpoints | undefined> {
    const answer = (await this.#json(base + ENDPOINTS_PATH, limits)) as Partial<Endpoints> | null | undefined;
    return typeof answer?.workspace === 'string' && Array.isArray(answer.services) ? (answer as Endpoints) : undefined;
  }

  /** Whether anybody at all answers, readable or not. */
  async answers(base: string, limits: Limits): Promise<boolean> {
    return (await this.#get(base + HEALTH_PATH, limits, { mode: 'no-cors' })) !== undefined;
  }

  #json(url: string, limits: Limits): Promise<unknown> {
    return this.#get(url, limits, { redirect: 'error' }, async response =>
      response.ok && response.headers.get('content-type')?.includes('json')
        ? ((await response.json()) as unknown)
        : undefined,
    );
  }

  #get(
    url: string,
    { timeoutMs, signal }: Limits,
    init: RequestInit,
    read: (response: Response) => unknown = response => response,
  ): Promise<unknown> {
    return this.#lanes.run(async () => {
      if (signal.aborted) return undefined;
      const over = new AbortController();
      const stop = (): void => over.abort();
      const timer = this.#page.clock.setTimeout(stop, timeoutMs);
      try {
        // No header of our own, since that would cost a preflight; nothing of ours is told to strangers.
        const response = await this.#page.fetch(url, {
          ...init,
          cache: 'no-store',
          referrerPolicy: 'no-referrer',
          signal: AbortSignal.any([signal, over.signal]),
        });
        return await read(response);
      } catch {
        return undefined;
      } finally {
        this.#page.clock.clearTimeout(timer);
        // A body that was not read would keep its connection.
        stop();
      }
    });
  }
}
