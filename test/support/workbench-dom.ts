import { setTimeout as sleep } from 'node:timers/promises';
import type { Locator } from 'playwright-core';

/** A string matches the whole text, an expression any part of it. */
export type Matcher = string | RegExp;

export const matches = (matcher: Matcher, text: string): boolean =>
  typeof matcher === 'string' ? text === matcher : matcher.test(text);

/** The texts of elements, in the order of the document; nothing is waited for. */
export function textsOf(elements: Locator): Promise<string[]> {
  return elements.evaluateAll(nodes => nodes.map(node => (node as HTMLElement).innerText.trim()));
}

/** Asks until two answers in a row agree: for lists which fill up little by little and have no end to wait for. */
export async function settle<T>(ask: () => Promise<T>): Promise<T> {
  for (let last = await ask(); ;) {
    await sleep(300);
    const now = await ask();
    if (JSON.stringify(now) === JSON.stringify(last)) return now;
    last = now;
  }
}
