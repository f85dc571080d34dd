import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Fields } from './fields.ts';

/** Passes on an answer that precedes the final one. HTTP/1.0 knows none of them (RFC 9110, 15.2). */
export function passInformational(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  raw: Readonly<Fields>,
): void {
  if (request.httpVersion === '1.0' || response.headersSent) return;
  if (status === 102) response.writeProcessing();
  if (status !== 103) return;
  const links: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]!.toLowerCase() === 'link') links.push(raw[i + 1]!);
  }
  try {
    if (links.length) response.writeEarlyHints({ link: links });
  } catch {
    // Hints that Node does not take for links are none; the answer itself is to come.
  }
}
