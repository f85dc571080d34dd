import type { ProxyEngine } from '../../../src/proxy/engine.ts';
import type { Message, RawUpstream, Wire } from './wire.ts';

/** One thing that a proxy must do right with HTTP, as bytes in and bytes out. */
export interface Behaviour {
  readonly name: string;
  /** Plays both sides; what it answers is compared with `expect`. */
  readonly run: (lab: Lab) => Promise<unknown>;
  readonly expect: unknown;
  /** Engines that do otherwise, what they do, and why that is accepted. */
  readonly differs?: Partial<Record<ProxyEngine['kind'], { readonly expect: unknown; readonly reason: string }>>;
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

/** The proxy's own answer to a request that goes no further, and whether the connection ends with it. */
export async function refused(
  lab: Lab,
  request: string,
): Promise<{ status: number; closed: boolean; passedOn: number }> {
  const client = await lab.client();
  client.send(request);
  const reply = await client.message();
  const closed = reply.fields.some(([name, value]) => name.toLowerCase() === 'connection' && value === 'close');
  if (closed) await client.closed();
  return { status: Number(reply.start.split(' ')[1]), closed, passedOn: lab.upstream.connections };
}
