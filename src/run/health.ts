import { request } from 'node:http';
import { connect } from 'node:net';
import { codeOf } from '../base/errors.ts';
import type { Readiness } from '../model/service.ts';

export type CheckResult =
  | { readonly ok: true; readonly latencyMs: number }
  | { readonly ok: false; readonly failure: CheckFailure; readonly reason: string };

/**
 * `refused`: nobody listens. `silent`: somebody does, and does not answer, which is what a hung service is known by.
 * `wrong`: something came back, only not what is expected.
 */
export type CheckFailure = 'refused' | 'silent' | 'wrong';

export interface CheckTarget {
  readonly host: string;
  readonly port: number;
  /** Limit for the whole answer, milliseconds. */
  readonly timeoutMs: number;
}

/** The kinds of readiness that are checked over the network. */
export type NetworkReadiness = Extract<Readiness, { kind: 'http' | 'tcp' | 'postgres' }>;

export const isNetworkReadiness = (readiness: Readiness): readiness is NetworkReadiness =>
  readiness.kind === 'http' || readiness.kind === 'tcp' || readiness.kind === 'postgres';

/** Checks once. Never throws: whatever goes wrong is the result. */
export async function check(readiness: NetworkReadiness, target: CheckTarget): Promise<CheckResult> {
  const started = performance.now();
  const failure = await checkOnce(readiness, { ...target, host: callableHost(target.host) });
  return failure ?? { ok: true, latencyMs: performance.now() - started };
}

export type FailedCheck = Extract<CheckResult, { ok: false }>;

function checkOnce(readiness: NetworkReadiness, target: CheckTarget): Promise<FailedCheck | undefined> {
  switch (readiness.kind) {
    case 'http':
      return checkHttp(readiness, target);
    case 'tcp':
      return exchange(target);
    case 'postgres':
      return exchange(target, SSL_REQUEST, reply => reply === 'S' || reply === 'N');
  }
}

/** Where a service that listens on `host` is called. */
export const callableHost = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host);

const silent = (reason: string): FailedCheck => ({ ok: false, failure: 'silent', reason });
const wrong = (reason: string): FailedCheck => ({ ok: false, failure: 'wrong', reason });
const failed = (error: Error): FailedCheck =>
  codeOf(error) === 'ECONNREFUSED'
    ? { ok: false, failure: 'refused', reason: 'nobody listens' }
    : silent(error.message);

/** More than this of an answer is not read; a health answer is a few hundred bytes. */
const MAX_BODY = 1 << 20;

function checkHttp(
  readiness: Extract<Readiness, { kind: 'http' }>,
  { host, port, timeoutMs }: CheckTarget,
): Promise<FailedCheck | undefined> {
  return new Promise(resolve => {
    const settle = (failure: FailedCheck | undefined): void => {
      clearTimeout(timer);
      resolve(failure);
      call.destroy();
    };
    const call = request({ host, port, path: readiness.path, agent: false }, response => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        if (body.length < MAX_BODY) body += text;
      });
      response.on('error', error => settle(silent(error.message)));
      response.on('end', () => settle(judge(readiness, response.statusCode ?? 0, body)));
    });
    const timer = setTimeout(() => settle(silent(`no answer within ${timeoutMs} ms`)), timeoutMs);
    call.on('error', error => settle(failed(error)));
    call.end();
  });
}

function judge(readiness: Extract<Readiness, { kind: 'http' }>, status: number, body: string): FailedCheck | undefined {
  if (status !== readiness.status) return wrong(`${readiness.path} answers ${status}, not ${readiness.status}`);
  if (readiness.expect === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return wrong(`${readiness.path} does not answer JSON`);
  }
  return contains(value, readiness.expect) ? undefined : wrong(`${readiness.path} answers something unexpected`);
}

/** Whether `value` has at least what `expected` has. */
export function contains(value: unknown, expected: unknown): boolean {
  if (typeof expected !== 'object' || expected === null) return value === expected;
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(expected).every(([key, part]) => contains((value as Record<string, unknown>)[key], part));
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest: length 8, code 80877103. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

function exchange(
  { host, port, timeoutMs }: CheckTarget,
  say?: Buffer,
  accept: (reply: string) => boolean = () => true,
): Promise<FailedCheck | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host, port });
    const settle = (failure: FailedCheck | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failure);
    };
    const timer = setTimeout(() => settle(silent(`no answer within ${timeoutMs} ms`)), timeoutMs);
    socket.on('error', error => settle(failed(error)));
    socket.on('close', () => settle(silent('closed the connection')));
    socket.once('connect', () => {
      if (!say) return settle(undefined);
      socket.write(say);
      socket.once('data', data =>
        settle(accept(data.toString('latin1', 0, 1)) ? undefined : wrong('is not PostgreSQL')),
      );
    });
  });
}
