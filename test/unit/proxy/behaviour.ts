import type { ProxyEngine } from '../../../src/proxy/engine.ts';
import type { Message, RawUpstream, Wire } from './wire.ts';

/** One thing that a proxy must do right with HTTP, as bytes in and bytes out. */
export interface Behaviour {
  readonly name: string;
  /** Plays both sides; what it answers is compared with `expect`. */
  readonly run: (lab: Lab) => Promise<unknown>;
  readonly expect: unknown;
  /** Engines that do otherwise, what they do, and why that is accepted. */
  readonly differs?: Partial<Record<ProxyEngine['kind'], Difference>>;
}

export interface Difference {
  readonly expect: unknown;
  readonly reason: string;
  /** The engine's version from which on it does as the others do. */
  readonly until?: readonly number[];
}

export interface Lab {
  /** The proxy's. */
  readonly port: number;
  readonly upstream: RawUpstream;
  /** A new connection to the proxy, closed after the test. */
  client(): Promise<Wire>;
}

export interface Passed {
  readonly client: Wire;
  readonly wire: Wire;
  /** As the upstream got it. */
  readonly request: Message;
  /** As the client got it. */
  readonly reply: Message;
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

export const get = (path = '/', ...fields: string[]): string =>
  head(`GET ${path} HTTP/1.1`, 'Host: localhost', ...fields);

export const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;

/** One request through to the upstream, one answer back. */
export async function pass(lab: Lab, request: string, reply = OK): Promise<Passed> {
  const client = await lab.client();
  client.send(request);
  const { wire, request: seen } = await lab.upstream.answer(reply);
  const isHead = request.startsWith('HEAD ');
  return { client, wire, request: seen, reply: await client.message(isHead ? 'bodiless' : 'whole') };
}

/** How nginx has an answer or a request with trailers. */
export const noTrailers = (expect: unknown): { readonly nginx: Difference } => ({
  nginx: {
    expect,
    reason:
      'nginx drops trailers (proxy_pass_trailers is of 1.27.2, which few systems have), and does not announce them',
  },
});

/** Round trips after which a request that has not come yet is one that is not let through. */
const ROUND_TRIPS = 20;

/** Whether a request gets to the upstream although nothing is answered there meanwhile. */
export async function gotThrough(lab: Lab, start: string): Promise<boolean> {
  const other = await lab.client();
  for (let left = ROUND_TRIPS; left > 0 && !lab.upstream.has(start); left--) {
    other.send(get('/health'));
    await other.message();
  }
  return lab.upstream.has(start);
}

/**
 * The answer to a request that is to go no further, whether the connection ends with it, and how many requests went on
 * nevertheless; those are answered well.
 */
export async function refused(
  lab: Lab,
  request: string,
): Promise<{ status: number; closed: boolean; passedOn: number }> {
  const client = await lab.client();
  client.send(request);
  // Rejects once the test is over, where none came.
  lab.upstream.answer(OK).catch(() => undefined);
  const reply = await client.message();
  const closed = reply.fields.some(([name, value]) => name.toLowerCase() === 'connection' && value === 'close');
  if (closed) await client.closed();
  return { status: Number(reply.start.split(' ')[1]), closed, passedOn: lab.upstream.connections };
}
