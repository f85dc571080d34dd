import { type Clock, systemClock } from '../base/async.ts';
import { WORKSPACE_ID_LENGTH, workspacePath } from '../model/endpoints.ts';

/** What is used of the browser, so that tests can stand in for it. */
export interface Page {
  readonly location: URL;
  /** What requests say of where they come from: `null` for a file. */
  readonly origin: string;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
  random(): number;
  meta(name: string): string | undefined;
  /** What `remember` was last called with by a page of this origin; for files, which share one, by this file. */
  recall(): string | undefined;
  remember(text: string): void;
  /** SHA-256 in hexadecimal, where the browser offers it. */
  digest(text: string): Promise<string | undefined>;
  isVisible(): boolean;
  /** Calls back when the page is looked at again or the network is back. */
  onWake(listener: () => void): () => void;
}

export function browserPage(): Page {
  const location = new URL(document.URL);
  const key = `helix-api ${location.protocol === 'file:' ? location.pathname : ''}`.trim();
  return {
    location,
    origin: window.origin,
    clock: systemClock,
    fetch: (input, init) => window.fetch(input, init),
    random: Math.random,
    meta: name => document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content.trim() || undefined,
    // Storage throws where it is blocked or full, and remembering is only a convenience.
    recall: () => attempt(() => localStorage.getItem(key) ?? undefined),
    remember: text => attempt(() => localStorage.setItem(key, text)),
    digest: sha256,
    isVisible: () => document.visibilityState === 'visible',
    onWake(listener) {
      const shown = (): void => void (document.visibilityState === 'visible' && listener());
      document.addEventListener('visibilitychange', shown);
      window.addEventListener('online', listener);
      return () => {
        document.removeEventListener('visibilitychange', shown);
        window.removeEventListener('online', listener);
      };
    },
  };
}

function attempt<T>(task: () => T): T | undefined {
  try {
    return task();
  } catch {
    return undefined;
  }
}

/** `crypto.subtle` exists on this machine's pages and on files, not on plain HTTP from elsewhere. */
async function sha256(text: string): Promise<string | undefined> {
  const bytes = await globalThis.crypto?.subtle?.digest('SHA-256', new TextEncoder().encode(text));
  return bytes && [...new Uint8Array(bytes)].map(byte => byte.toString(16).padStart(2, '0')).join('');
}

/** The workspace ids of all folders above a page that was opened as a file: one of them may be its workspace's. */
export async function folderIds(page: Page): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  if (page.location.protocol !== 'file:') return ids;
  let path = workspacePath(decodeURIComponent(page.location.pathname).replace(/^\/(?=[A-Za-z]:)/, ''));
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/')) {
    path = path.slice(0, end);
    const hash = await page.digest(path);
    if (hash) ids.add(hash.slice(0, WORKSPACE_ID_LENGTH));
  }
  return ids;
}

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/;
/** A name without a dot, an address, or a name that only a local network has. */
const LOCAL_NETWORK = /^([^.]+|[\d.]+|\[.+\]|.+\.(local|lan|internal|home\.arpa))$/;

export const isLoopback = (hostname: string): boolean => LOOPBACK.test(hostname);

/**
 * Where to look for ports. A page from the internet looks nowhere: its visitors' machines are none of its business. A page
 * from another machine of the local network means that machine, and not its visitor's.
 */
export function hostsFor({ protocol, hostname }: URL): readonly string[] {
  const here = ['127.0.0.1', 'localhost'];
  if (protocol === 'file:') return here;
  if (isLoopback(hostname)) return [...new Set([hostname, ...here])];
  return protocol === 'http:' && LOCAL_NETWORK.test(hostname) ? [hostname] : [];
}
