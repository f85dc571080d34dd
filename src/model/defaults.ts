import type { Band, Port } from './port.ts';

/**
 * Every port number of HELIX v2.0, and no other file holds one. Bands and fixed ports are those of the
 * HELIX guide to dynamic ports ("服务端口分配策略"); the proxy's own band is ours, for the second workspace
 * on a machine.
 */
const port = (literal: number): Port => literal as Port;
const band = (from: number, to: number): Band => ({ from: port(from), to: port(to) });

export const BANDS = {
  api: band(8000, 8099),
  orchestrator: band(8100, 8199),
  worker: band(8200, 8299),
  proxy: band(8300, 8399),
} as const;

export const POSTGRES_PORT = port(5432);
/** Lies inside the API's band, and is therefore never given to an API. */
export const PROXY_PORT = port(8080);

/** Taken out of every band. */
export const FIXED_PORTS: readonly number[] = [POSTGRES_PORT, PROXY_PORT];

export const POSTGRES_DEFAULTS = { host: 'localhost', database: 'helix', user: 'helix_user' } as const;

/** What the guide's mixed mode runs. */
export const POSTGRES_IMAGE = 'postgres:13';
/** Of images, such as `registry.example:5000/team/postgres:13`. */
export const IMAGE_PATTERN = /^[a-z0-9][\w.\-/:@]*$/i;

/** Where a service listens unless the user's `.env` or configuration asks for more. */
export const LOOPBACK = '127.0.0.1';
