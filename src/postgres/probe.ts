import { connect } from 'node:net';
import type pg from 'pg';
import { delay } from '../base/async.ts';
import { CancelledError, codeOf, messageOf } from '../base/errors.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface Credentials extends Endpoint {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export type ProbeResult = 'postgres' | 'foreign' | 'closed';

/** Length 8, then the request code 80877103 (https://www.postgresql.org/docs/current/protocol-message-formats.html). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

export interface ProbeOptions extends Endpoint {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A server that ends hangs up without a word, as some other programs do: so it is asked again, and is gone by then. */
const HANG_UPS = 5;
const HANG_UP_PAUSE_MS = 100;

/**
 * Who listens, recognised by the protocol: PostgreSQL answers an SSLRequest with the single byte `S` or `N`
 * before any authentication, also while it starts up. `closed` means that nobody accepts a connection.
 */
export async function probePostgres(options: ProbeOptions): Promise<ProbeResult> {
  for (let left = HANG_UPS; left > 0; left--) {
    const result = await probeOnce(options);
    if (result !== 'hungUp') return result;
    await delay(HANG_UP_PAUSE_MS, options.signal);
  }
  return 'foreign';
}

function probeOnce(options: ProbeOptions): Promise<ProbeResult | 'hungUp'> {
  const { host, port, timeoutMs = 2000, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new CancelledError());
    let connected = false;
    const socket = connect({ host, port });
    const end = (settle: () => void): void => {
      signal?.removeEventListener('abort', onAbort);
      socket.removeAllListeners().on('error', () => undefined);
      socket.destroy();
      settle();
    };
    const answer = (result: ProbeResult | 'hungUp'): void => end(() => resolve(result));
    const onAbort = (): void => end(() => reject(new CancelledError()));
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.setTimeout(timeoutMs, () => answer(connected ? 'foreign' : 'closed'));
    socket.on('connect', () => {
      connected = true;
      socket.write(SSL_REQUEST);
    });
    socket.on('data', data =>
      answer(data.length === 1 && (data[0] === 0x53 || data[0] === 0x4e) ? 'postgres' : 'foreign'),
    );
    socket.on('error', () => answer(connected ? 'hungUp' : 'closed'));
    socket.on('close', () => answer(connected ? 'hungUp' : 'closed'));
  });
}

export type CredentialsResult =
  | { readonly kind: 'ok'; readonly version: string }
  | { readonly kind: 'wrong-password' }
  | { readonly kind: 'no-role' }
  | { readonly kind: 'no-database' }
  | { readonly kind: 'starting' }
  /** The connection was refused or broke: a server that ends does so, and the next look finds none or another. */
  | { readonly kind: 'gone'; readonly message: string }
  | { readonly kind: 'error'; readonly message: string };

/**
 * One login. With password authentication PostgreSQL does not tell a missing role from a wrong password
 * (both are 28P01, on purpose); `no-role` is only seen where it trusts the connection.
 */
export async function tryCredentials(credentials: Credentials): Promise<CredentialsResult> {
  try {
    return await withClient(credentials, async client => {
      const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
      return { kind: 'ok', version: rows[0]?.server_version.split(' ')[0] ?? '' };
    });
  } catch (error) {
    return failureOf(error);
  }
}

function failureOf(error: unknown): CredentialsResult {
  const message = messageOf(error) || codeOf(error) || 'the connection failed';
  switch (codeOf(error)) {
    case '28P01':
      return { kind: 'wrong-password' };
    case '28000':
      return /role .* does not exist/i.test(message) ? { kind: 'no-role' } : { kind: 'error', message };
    case '3D000':
      return { kind: 'no-database' };
    case '57P03':
      return /shutting down/i.test(message) ? { kind: 'gone', message } : { kind: 'starting' };
    case '57P01':
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EPIPE':
      return { kind: 'gone', message };
    default:
      if (/^Connection terminated/.test(message)) return { kind: 'gone', message };
      // pg refuses an empty password on its own, before the server can.
      return /client password must be/i.test(message) ? { kind: 'wrong-password' } : { kind: 'error', message };
  }
}

/** Most runs that look for a server find none to log in to; whoever waits for one can have this done meanwhile. */
export const loadPg = () => import('pg');

/** A connection for the time of `use`. */
export async function withClient<T>(
  credentials: Credentials,
  use: (client: pg.Client) => Promise<T>,
  queryMs = 10_000,
): Promise<T> {
  const { host, port, user, password, database } = credentials;
  const { default: library } = await loadPg();
  const client = new library.Client({
    host,
    port,
    user,
    password,
    database,
    ssl: false,
    application_name: 'helix-ports',
    connectionTimeoutMillis: 5000,
    query_timeout: queryMs,
  });
  // Without a listener a connection that breaks between two queries would end this process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
