import type { IncomingMessage } from 'node:http';
import { hostInUrl, isLoopback, plainAddress } from './addresses.ts';
import { type Fields, isHopByHop, namedInConnection, tokensOf } from './fields.ts';
import { parseAuthority } from './host-check.ts';

/** Under which name this proxy stands in Via. */
const PSEUDONYM = 'helix-ports';

/** A request as it is sent on: everything but its body. */
export interface RequestHead {
  readonly method: string;
  /** Origin form: path and query. */
  readonly path: string;
  /** Without those that frame the body and speak of the connection; with Host. */
  readonly fields: Fields;
}

/** Where a request says it goes to: its target's authority, or Host. Undefined where HTTP/1.0 says neither. */
export interface Target {
  readonly path: string;
  readonly authority: string | undefined;
}

/** Fields that say where a request has come through, and by what. */
const FORWARDING = ['via', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port'];
/** Fields of which a request may have one at most. CGI programs take Proxy for HTTP_PROXY (httpoxy). */
const SINGLE = ['host', 'expect', 'proxy'];

/** How one kind of hop deals with the fields of its requests. */
class HopFields {
  private readonly replaced: ReadonlySet<string>;
  private readonly lengths: ReadonlySet<number>;

  constructor(replaced: readonly string[]) {
    this.replaced = new Set(replaced);
    this.lengths = new Set(replaced.map(name => name.length));
  }

  replaces(name: string): boolean {
    return this.lengths.has(name.length) && this.replaced.has(name.toLowerCase());
  }
}

const FIRST_HOP = new HopFields([...SINGLE, ...FORWARDING]);
const SECOND_HOP = new HopFields(SINGLE);

/** Where the head is sent from. */
export interface Hop {
  /** Host of requests that bring none. */
  readonly authority: string;
  /** What comes has been through nginx, which has said so: there is nothing to add for this hop. */
  readonly isSecond: boolean;
}

/** The target in origin form. An absolute one outranks Host (RFC 9112, 3.2.2). */
export function targetOf({ url = '/', headers }: IncomingMessage): Target | undefined {
  if (url.startsWith('/')) return { path: url, authority: headers.host };
  const match = /^http:\/\/(?<authority>[^/?#@]+)(?<rest>[/?][^#]*)?$/i.exec(url);
  if (!match?.groups) return undefined;
  const { authority, rest = '/' } = match.groups;
  return { path: rest.startsWith('/') ? rest : `/${rest}`, authority };
}

/** The head to send to the upstream: hop-by-hop fields out, what the next one must know of this hop in. */
export function requestHead(request: IncomingMessage, target: Target, { authority, isSecond }: Hop): RequestHead {
  const { rawHeaders, headers, socket } = request;
  const named = namedInConnection(headers.connection);
  const host = target.authority ?? authority;
  const hop = isSecond ? SECOND_HOP : FIRST_HOP;
  const fields: Fields = ['host', host];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (isHopByHop(name) || hop.replaces(name) || named?.has(name.toLowerCase())) continue;
    fields.push(name, rawHeaders[i + 1]!);
  }
  if (!isSecond) addForwarding(fields, request, host, isLoopback(socket.remoteAddress), named);
  return { method: request.method ?? 'GET', path: target.path, fields };
}

/**
 * X-Forwarded-For and Forwarded are appended to; the other X-Forwarded fields hold one value each, and what a proxy on
 * this machine (a tunnel that ended TLS) found out before us is kept, if it makes sense.
 */
function addForwarding(
  fields: Fields,
  { headers, socket, httpVersion }: IncomingMessage,
  authority: string,
  isTrusted: boolean,
  named: ReadonlySet<string> | undefined,
): void {
  const given = (name: string): string | undefined => {
    if (named?.has(name)) return undefined;
    const value = headers[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const peer = plainAddress(socket.remoteAddress ?? 'unknown');
  const append = (name: string, value: string): void => {
    const before = given(name);
    fields.push(name, before === undefined ? value : `${before}, ${value}`);
  };
  const proto = trusted(given('x-forwarded-proto'), isTrusted, isProto) ?? 'http';
  const host = trusted(given('x-forwarded-host'), isTrusted, isAuthority) ?? authority;
  const port = trusted(given('x-forwarded-port'), isTrusted, isPortText) ?? portOf(host, proto);
  append('x-forwarded-for', peer);
  fields.push('x-forwarded-proto', proto, 'x-forwarded-host', host, 'x-forwarded-port', port);
  append('forwarded', `for=${node(peer)};host="${authority}";proto=http`);
  append('via', `${httpVersion} ${PSEUDONYM}`);
}

function trusted(
  value: string | undefined,
  isTrusted: boolean,
  isValid: (value: string) => boolean,
): string | undefined {
  return value !== undefined && isTrusted && isValid(value) ? value : undefined;
}

const isProto = (value: string): boolean => value === 'http' || value === 'https';
const isAuthority = (value: string): boolean => parseAuthority(value) !== undefined;
const isPortText = (value: string): boolean => /^\d{1,5}$/.test(value);

/** Of the last authority, which is nearly always the next one's too. */
let lastPort = { authority: '', proto: '', port: '' };

function portOf(authority: string, proto: string): string {
  if (lastPort.authority !== authority || lastPort.proto !== proto) {
    const port = parseAuthority(authority)?.port || (proto === 'https' ? '443' : '80');
    lastPort = { authority, proto, port };
  }
  return lastPort.port;
}

/** RFC 7239, 6: an IPv6 address is bracketed and, having colons, quoted. */
const node = (address: string): string => (address.includes(':') ? `"${hostInUrl(address)}"` : address);

/** What is wrong with a request's framing although the parser took it; undefined when nothing is. */
export function framingProblem({ headers, httpVersion, rawHeaders }: IncomingMessage): FramingProblem | undefined {
  const coding = headers['transfer-encoding'];
  if (coding !== undefined) {
    // RFC 9112, 6.1: HTTP/1.0 knows no codings, so that message's length is not what the sender thinks.
    if (httpVersion === '1.0') return { status: 400, reason: 'Transfer-Encoding in an HTTP/1.0 request' };
    if (tokensOf(coding).join() !== 'chunked') return { status: 501, reason: `transfer coding ${coding}` };
  }
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length === 4 && rawHeaders[i]!.toLowerCase() === 'host') hosts++;
  }
  return hosts > 1 ? { status: 400, reason: 'more than one Host' } : undefined;
}

export interface FramingProblem {
  readonly status: 400 | 501;
  readonly reason: string;
}
