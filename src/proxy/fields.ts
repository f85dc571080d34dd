/**
 * Header fields as HTTP/1.1 messages carry them: a flat list of names and values, in order, with duplicates and case
 * kept.
 */
export type Fields = string[];

/** Fields that speak of one connection only (RFC 9110, 7.6.1, and those that RFC 2616, 13.5.1 had besides). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** Fields that frame or route a message, which a sender cannot have removed by naming them in Connection. */
const NEVER_NAMED = new Set(['host', 'content-length', 'transfer-encoding', 'trailer']);

/** By length first: nearly every field is told apart without a copy in lower case. */
const HOP_BY_HOP_LENGTHS = new Set([...HOP_BY_HOP].map(name => name.length));

export const isHopByHop = (name: string): boolean =>
  HOP_BY_HOP_LENGTHS.has(name.length) && HOP_BY_HOP.has(name.toLowerCase());

/** The tokens of a comma-separated field in lower case. */
export const tokensOf = (value: string): string[] =>
  value
    .toLowerCase()
    .split(',')
    .map(token => token.trim())
    .filter(Boolean);

/** The further fields that the message's Connection names as meant for this connection only, in lower case. */
export function namedInConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined) return undefined;
  // What clients and servers send all the time names no field.
  if (connection === 'keep-alive' || connection === 'close') return undefined;
  const named = tokensOf(connection).filter(
    token => token !== 'keep-alive' && token !== 'close' && !NEVER_NAMED.has(token),
  );
  return named.length ? new Set(named) : undefined;
}

/** What a trailer must not bring, because it frames, routes or authenticates a message that is long under way (RFC 9110, 6.5.1). */
const NEVER_TRAILERS = new Set([
  ...HOP_BY_HOP,
  'authorization',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'max-forwards',
  'set-cookie',
  'trailer',
]);

/** The trailers that may be passed on, as pairs. */
export function trailersOf(raw: Readonly<Fields>): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    if (!NEVER_TRAILERS.has(name.toLowerCase())) pairs.push([name, raw[i + 1]!]);
  }
  return pairs;
}

/** The value of the first field of that name, which is given in lower case. */
export function valueOf(fields: Readonly<Fields>, name: string): string | undefined {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i]!.length === name.length && fields[i]!.toLowerCase() === name) return fields[i + 1];
  }
  return undefined;
}
