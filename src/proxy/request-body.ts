import type { IncomingMessage } from 'node:http';
import { type Fields, tokensOf } from './fields.ts';

/** Of which a missing body is nothing to speak of (RFC 9110, 8.6). */
const WITHOUT_BODY = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE']);

export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && !/^0+$/.test(length));
}

/** How long the rest of a body is read and thrown away when the answer is already out. */
const LINGER_MS = 5_000;

/**
 * Reads the rest of a body for nothing: a connection that ends while its client is still sending is reset, and with it
 * goes the answer that the client has not read yet.
 */
export function discardRest(request: IncomingMessage): void {
  request.resume();
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  request.once('close', () => clearTimeout(timer));
}

/** Whether the client reads trailers, which it may say of this connection only. */
export const takesTrailers = ({ headers: { te } }: IncomingMessage): boolean =>
  te !== undefined && tokensOf(String(te)).includes('trailers');

/** The fields that speak of this hop of a request with a body: how it is framed, and what is expected of the connection. */
export function framing(request: IncomingMessage): Fields {
  const { headers, method = 'GET' } = request;
  const fields: Fields = takesTrailers(request)
    ? ['TE', 'trailers', 'Connection', 'TE, keep-alive']
    : ['Connection', 'keep-alive'];
  if (headers['transfer-encoding'] !== undefined) fields.push('Transfer-Encoding', 'chunked');
  else if (headers['content-length'] === undefined && !WITHOUT_BODY.has(method)) fields.push('Content-Length', '0');
  if (headers.expect !== undefined) fields.push('Expect', '100-continue');
  return fields;
}
