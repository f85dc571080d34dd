import { BANDS, PROXY_PORT } from '../model/defaults.ts';
import type { PortDiscoveryOptions, PortRange } from './contract.ts';
import { hostsFor, type Page } from './page.ts';

type Optional = 'apiBase' | 'workspace';

export type Settings = Required<Omit<PortDiscoveryOptions, Optional>> & {
  readonly [key in Optional]: string | undefined;
};

/** Limits of a port and of a search are those of the HELIX guide ("前端连接可靠性"). */
const DEFAULTS = {
  band: BANDS.api as PortRange,
  proxyPort: PROXY_PORT as number,
  proxyBand: BANDS.proxy as PortRange,
  anyWorkspace: false,
  portTimeoutMs: 2_000,
  totalTimeoutMs: 5_000,
  checkEveryMs: 5_000,
  queueMs: 30_000,
};

/** An option wins over the page's `<meta>`, which wins over the default. */
export function settingsOf(options: PortDiscoveryOptions, page: Page): Settings {
  const base = options.apiBase ?? page.meta('helix-api-base');
  return {
    ...DEFAULTS,
    hosts: hostsFor(page.location),
    ...options,
    apiBase: base ? new URL(base, page.location).href.replace(/\/+$/, '') : undefined,
    workspace: options.workspace ?? page.meta('helix-workspace'),
  };
}
