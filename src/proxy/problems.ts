import type { Problem } from './pages.ts';

/** Every answer of the proxy's own that is no success. */
export const noUpstream = (waitedMs: number): Problem => ({
  status: 503,
  code: 'no_upstream',
  title: 'The service is not running just now',
  message: `No service behind this proxy answered within ${Math.round(waitedMs / 1000)} s. It may be starting: see the HELIX view or \`helix-ports status\`.`,
  passes: true,
});

export const tooManyHeld: Problem = {
  status: 503,
  code: 'too_many_waiting',
  title: 'The service is not running just now',
  message: 'No service behind this proxy answers, and as many requests as may wait are waiting already.',
  passes: true,
};

export const stopping: Problem = {
  status: 503,
  code: 'stopping',
  title: 'The proxy is stopping',
  message: 'It takes no more requests.',
  passes: true,
};

export const brokenUpstream = (why: string): Problem => ({
  status: 502,
  code: 'broken_upstream',
  title: 'The service broke off',
  message: `The service took the request and did not answer properly (${why}). The request may have been carried out, so it was not sent again; see the service's log.`,
  passes: false,
});

export const slowUpstream = (ms: number): Problem => ({
  status: 504,
  code: 'slow_upstream',
  title: 'The service does not answer',
  message: `The service took the request and did not begin to answer within ${Math.round(ms / 1000)} s; see its log.`,
  passes: false,
});

export const slowBody = (ms: number): Problem => ({
  status: 408,
  code: 'slow_body',
  title: 'The request stopped coming',
  message: `Nothing of the request's body came for ${Math.round(ms / 1000)} s.`,
  passes: false,
});

export const wrongHost = (host: string): Problem => ({
  status: 421,
  code: 'wrong_host',
  title: 'Not a host of this proxy',
  message: `Requests for the host ${JSON.stringify(host)} are not answered here, so that no other site can read from this machine. Use localhost, or add the host to the proxy's hosts.`,
  passes: false,
});

export const wrongOrigin = (origin: string): Problem => ({
  status: 403,
  code: 'wrong_origin',
  title: 'Not an origin of this workspace',
  message: `Pages of ${JSON.stringify(origin)} may not call this workspace's services. Add the origin to the proxy's origins if it is yours.`,
  passes: false,
});

export const notLoopback: Problem = {
  status: 403,
  code: 'not_loopback',
  title: 'Only for callers on this machine',
  message: 'This address is answered only to callers on the machine itself.',
  passes: false,
};

export const badFraming = (status: number, reason: string): Problem => ({
  status,
  code: 'bad_request',
  title: 'The request is not valid HTTP',
  message: `The proxy does not pass it on: ${reason}.`,
  passes: false,
});

export const badMethod = (method: string): Problem => ({
  status: 405,
  code: 'bad_method',
  title: 'Method not allowed',
  message: `${method} is not passed on.`,
  passes: false,
});

export const unknownPath: Problem = {
  status: 404,
  code: 'unknown_path',
  title: 'Nothing here',
  message:
    'The proxy keeps /__helix/ for itself and knows no such address: try /__helix/endpoints or /__helix/metrics.',
  passes: false,
};
