import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { systemClock } from '../base/async.ts';
import { messageOf } from '../base/errors.ts';
import { Discovery } from '../browser/discovery.ts';
import type { Page } from '../browser/page.ts';
import { Requests } from '../browser/requests.ts';
import { HEALTH_PATH } from '../model/endpoints.ts';
import { findBrowser, withBrowserPage } from './headless-browser.ts';

export interface BrowserFinding {
  /** With what it was looked. */
  readonly with: string;
  /** Where the API was found, and how; undefined when it was not. */
  readonly base: string | undefined;
  readonly by: string | undefined;
  /** Whether the health was then read from there. */
  readonly reached: boolean;
  readonly problem?: string;
}

/**
 * Opens a page of the stack and lets `port-discovery.js` find and call the API from it: in a headless Chrome or Chromium
 * where one is installed, else its very code in Node, which says so.
 * @param script the built `port-discovery.js`
 */
export async function findFromBrowser(pageUrl: string, script: string): Promise<BrowserFinding> {
  const browser = findBrowser();
  if (!browser) return findInNode(pageUrl);
  const source = await readFile(script, 'utf8');
  return withBrowserPage(browser, pageUrl, async evaluate => {
    await evaluate(`${source}\n;undefined`);
    const seen = await evaluate(IN_PAGE);
    return { ...(seen as Omit<BrowserFinding, 'with'>), with: `${browser}, headless` };
  });
}

/** What HELIX's own page does. */
const IN_PAGE = `(async () => {
  const found = await window.initializeHelixApi();
  const api = window.helixApi.api;
  if (!found) return { reached: false, problem: 'initializeHelixApi() answered false' };
  try {
    const answer = await fetch(window.buildHelixApiUrl(${JSON.stringify(HEALTH_PATH)}));
    return { base: window.getHelixApiBase(), by: api && api.by, reached: answer.ok };
  } catch (error) {
    return { base: window.getHelixApiBase(), by: api && api.by, reached: false, problem: String(error) };
  }
})()`;

/** The same from a page that only its address is known of. */
export async function findInNode(pageUrl: string): Promise<BrowserFinding> {
  const page = nodePage(pageUrl);
  const discovery = new Discovery({}, page, new Requests(page));
  const withNode = 'its code in Node (no Chrome or Chromium was found; CHROME_PATH can name one)';
  try {
    const base = await discovery.discoverApiEndpoint();
    const answer = await discovery.fetch(HEALTH_PATH);
    return { with: withNode, base, by: discovery.api?.by, reached: answer.ok };
  } catch (error) {
    return { with: withNode, base: undefined, by: undefined, reached: false, problem: messageOf(error) };
  } finally {
    discovery.close();
  }
}

/** A page at this address that remembers nothing. */
const nodePage = (url: string): Page => ({
  location: new URL(url),
  origin: new URL(url).origin,
  clock: systemClock,
  fetch,
  random: Math.random,
  meta: () => undefined,
  recall: () => undefined,
  remember: () => undefined,
  digest: text => Promise.resolve(createHash('sha256').update(text).digest('hex')),
  isVisible: () => true,
  onWake: () => () => undefined,
});
