import type { IncomingMessage } from 'node:http';
import { type Fields, tokensOf } from './fields.ts';

/** How long a browser may remember a preflight's answer. Chromium's own limit is 2 hours; origins come and go here. */
const PREFLIGHT_SECONDS = '600';

/** Upstreams' own grants are removed: who may read across origins is decided in one place. */
const GRANTS = new Set(['access-control-allow-origin', 'access-control-allow-credentials']);

export const isGrant = (name: string): boolean => name.length > 26 && GRANTS.has(name.toLowerCase());

/** Cross-origin reading for the workspace's own origins, with credentials; never `*`. */
export class Cors {
  private readonly allowed: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.allowed = new Set(origins);
  }

  allows(origin: string | undefined): origin is string {
    return origin !== undefined && this.allowed.has(origin);
  }

  /** A preflight asks on behalf of a request that is still to come (Fetch, "CORS-preflight request"). */
  isPreflight({ method, headers }: IncomingMessage): boolean {
    return (
      method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
    );
  }

  /** The fields of the answer to a preflight; undefined where the origin is not the workspace's. */
  preflight({ headers }: IncomingMessage): Fields | undefined {
    const { origin } = headers;
    if (!this.allows(origin)) return undefined;
    const method = headers['access-control-request-method'] ?? '';
    const asked = tokensOf(headers['access-control-request-headers'] ?? '');
    const fields: Fields = ['Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true'];
    if (TOKEN.test(method)) fields.push('Access-Control-Allow-Methods', method);
    const names = asked.filter(name => TOKEN.test(name));
    if (names.length) fields.push('Access-Control-Allow-Headers', names.join(', '));
    if (headers['access-control-request-private-network'] === 'true') {
      fields.push('Access-Control-Allow-Private-Network', 'true');
    }
    fields.push('Access-Control-Max-Age', PREFLIGHT_SECONDS);
    fields.push('Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers');
    return fields;
  }

  /** Adds what lets the page at `origin` read the answer, where it may. */
  grant(fields: Fields, origin: string | undefined): void {
    if (this.allows(origin)) {
      fields.push('Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true');
    }
  }
}

/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
