import { hostInUrl, isLoopback, plainAddress } from './addresses.ts';

/** Host and port of an authority such as `localhost:8080` or `[::1]`, in lower case; undefined if it is none. */
export function parseAuthority(authority: string): { host: string; port: string } | undefined {
  const match = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<name>[a-z0-9._~-]+))(?::(?<port>\d{0,5}))?$/i.exec(authority);
  if (!match?.groups) return undefined;
  const { v6, name, port } = match.groups;
  return { host: (v6 ?? name ?? '').toLowerCase(), port: port ?? '' };
}

/**
 * Which hosts requests may be made to. A page on any site can have its own name resolve to 127.0.0.1 and then read
 * from here as from its own origin (DNS rebinding); what gives it away is the name in Host.
 *
 * Allowed are localhost and names below it (which resolve to loopback by RFC 6761), loopback addresses, the address at
 * which the connection arrived, and the names that the user configured.
 */
export class HostCheck {
  private readonly configured: ReadonlySet<string>;
  /** Authorities that passed; few, and asked about with every request. */
  private readonly passed = new Set<string>();

  constructor(configured: readonly string[] = []) {
    this.configured = new Set(configured.map(host => host.toLowerCase()));
  }

  allows(authority: string, localAddress: string | undefined): boolean {
    if (this.passed.has(authority)) return true;
    const parsed = parseAuthority(authority);
    if (!parsed) return false;
    if (this.isOwn(parsed.host)) {
      if (this.passed.size < PASSED_MAX) this.passed.add(authority);
      return true;
    }
    return localAddress !== undefined && parsed.host === plainAddress(localAddress);
  }

  private isOwn(host: string): boolean {
    return host === 'localhost' || host.endsWith('.localhost') || isLoopback(host) || this.configured.has(host);
  }

  /** `http://localhost:8080` and the like: under which origins this proxy's own pages are. */
  origins(port: number): string[] {
    const hosts = ['localhost', '127.0.0.1', '::1', ...this.configured];
    return hosts.map(host => `http://${hostInUrl(host)}${port === HTTP_PORT ? '' : `:${port}`}`);
  }
}

/** So that a client that makes up names below localhost cannot fill the memory. */
const PASSED_MAX = 100;
const HTTP_PORT = 80;
