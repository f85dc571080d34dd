import { type OutgoingMessage, STATUS_CODES } from 'node:http';
import { type Cors, isGrant } from './cors.ts';
import { type Fields, isHopByHop, namedInConnection, valueOf } from './fields.ts';

export interface ResponseContext {
  readonly cors: Cors;
  /** The request's. */
  readonly origin: string | undefined;
}

const NO_CONTENT = 204;

/**
 * Sends the head that was written, before there is a body. Fields are bytes, one character each, which is what `latin1`
 * is; Node's own `flushHeaders` takes them for text and writes UTF-8, in which a file name of UTF-8 then stands twice over.
 */
export const sendHead = (message: OutgoingMessage): void => void message.write('', 'latin1');

/** Likewise the reason phrase, which undici has read as UTF-8. Without one it is the usual one. */
export const reasonOf = (status: number, text: string): string | undefined =>
  (/[^\x20-\x7e]/.test(text) ? Buffer.from(text).toString('latin1') : text) || STATUS_CODES[status];

/** An upstream's header fields as they are passed on to the client. */
export function responseFields(status: number, raw: Readonly<Fields>, { cors, origin }: ResponseContext): Fields {
  const named = namedInConnection(valueOf(raw, 'connection'));
  const fields: Fields = [];
  let variesByOrigin = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    if (isHopByHop(name) || isGrant(name) || named?.has(name.toLowerCase())) continue;
    // RFC 9110, 8.6: 204 has no length, and a client that believed one would wait for it.
    if (status === NO_CONTENT && name.toLowerCase() === 'content-length') continue;
    if (name.length === 4 && name.toLowerCase() === 'vary') variesByOrigin ||= /\*|\borigin\b/i.test(raw[i + 1]!);
    fields.push(name, raw[i + 1]!);
  }
  // Also where there was no Origin: a cache must not give that answer to a page that asks with one.
  if (!variesByOrigin) fields.push('Vary', 'Origin');
  cors.grant(fields, origin);
  return fields;
}
