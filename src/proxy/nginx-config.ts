import { isIP } from 'node:net';
import { isPort } from '../model/port.ts';
import { hostInUrl } from './addresses.ts';
import type { Listen, ProxyLimits, ProxySnapshot } from './engine.ts';
import { nginxMaps } from './nginx-maps.ts';

export interface NginxConfigInput {
  readonly listen: Listen;
  readonly limits: ProxyLimits;
  readonly snapshot: Pick<ProxySnapshot, 'upstreams' | 'origins' | 'hosts'>;
  /** Answers for the proxy itself, and takes what no upstream takes. */
  readonly fallback: Listen;
  /** Only where nginx runs as root: workers that may not read their own prefix could not start. */
  readonly user: string | undefined;
}

const HOST = /^[A-Za-z0-9.-]+$/;
const USER = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
/**
 * One worker does 30,000 requests a second. Several would each count the connections and failures of the upstreams, and
 * keep connections to them, for themselves alone.
 */
const WORKERS = 1;

/** Where the prefix is: `-p`. All paths in the configuration are relative to it, so that none is written into it. */
export const NGINX_FOLDERS = ['logs', 'tmp'] as const;

/**
 * nginx's configuration for this state. Whatever comes from outside is a number, an IP address, or matches an alphabet
 * without meaning to nginx; anything else is left out (an origin, a host) or refused.
 *
 * What nginx cannot do and the fallback can (preflights, fields that a request names in `Connection`, waiting) is given
 * to the fallback. What then still differs from the embedded engine stands, with the reasons, in the table of HTTP
 * behaviours that both are tested with.
 * @throws {RangeError} for an address that is none
 */
export function nginxConfig({ listen, limits, snapshot, fallback, user }: NginxConfigInput): string {
  const upstreams = snapshot.upstreams.filter(one => !one.draining).map(one => address(one));
  const own = `http://helix_own`;
  const api = upstreams.length > 0 ? 'http://helix_api' : own;
  const at = address(listen);
  const names = [
    'localhost',
    '*.localhost',
    '"127.0.0.1"',
    // HTTP/1.0 without a Host.
    '""',
    '"[::1]"',
    ...(snapshot.hosts ?? []).filter(host => HOST.test(host)),
  ];
  if (isIP(listen.host)) names.push(`"${hostInUrl(listen.host)}"`);
  return `# Written by HELIX Dynamic Ports for this workspace's proxy; changes are overwritten.
daemon off;
master_process on;
worker_processes ${WORKERS};
${user !== undefined && USER.test(user) ? `user ${user};` : ''}
pid nginx.pid;
error_log stderr warn;
events { worker_connections ${connections(limits)}; }
http {
  access_log off;
  server_tokens off;
  client_body_temp_path tmp/body;
  proxy_temp_path tmp/proxy;
  fastcgi_temp_path tmp/fastcgi;
  uwsgi_temp_path tmp/uwsgi;
  scgi_temp_path tmp/scgi;

  # Uploads of any size, never written down; a slow client is ended.
  client_max_body_size 0;
  client_header_timeout ${milliseconds(limits.headersTimeoutMs)};
  client_body_timeout ${milliseconds(limits.bodyIdleMs)};
  client_header_buffer_size 4k;
  large_client_header_buffers 4 ${Math.ceil(limits.maxHeaderBytes / 1024)}k;
  keepalive_timeout ${milliseconds(limits.keepAliveMs)};
  keepalive_requests 1000000;
  lingering_close on;
  underscores_in_headers on;

${nginxMaps(snapshot.origins, listen)}
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_connect_timeout ${milliseconds(limits.connectMs)};
  proxy_send_timeout ${milliseconds(limits.bodyIdleMs)};
  proxy_read_timeout ${milliseconds(limits.responseMs)};
  proxy_next_upstream error timeout;
  proxy_next_upstream_tries 3;
  # One that took the request and has not answered for so long is not asked again, nor is another.
  proxy_next_upstream_timeout ${milliseconds(limits.responseMs)};
  proxy_set_header Host $helix_authority;
  proxy_set_header Connection $helix_connection;
  proxy_set_header Upgrade $helix_upgrade;
  proxy_set_header HTTP2-Settings '';
  proxy_set_header Proxy-Connection '';
  proxy_set_header Proxy-Authorization '';
  # CGI programs take it for HTTP_PROXY (httpoxy).
  proxy_set_header Proxy '';
  # Trailers are not passed on, so they are not announced.
  proxy_set_header Trailer '';
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $helix_proto;
  proxy_set_header X-Forwarded-Host $helix_host;
  proxy_set_header X-Forwarded-Port $helix_port;
  proxy_set_header Forwarded $helix_forwarded;
  proxy_set_header Via $helix_via;
  proxy_pass_header Server;
  proxy_pass_header Date;

  upstream helix_own { server ${address(fallback)}; keepalive 8; }
${upstreamBlock(upstreams, address(fallback))}
  # Any other host: a page that made its own name resolve to here.
  server {
    listen ${at} default_server;
    server_name _;
${HEAD_LIMIT}
    location / { proxy_pass ${own}; }
  }
  server {
    listen ${at};
    server_name ${[...new Set(names)].join(' ')};
    error_page 418 = @own;
    error_page 421 = @stream;
    recursive_error_pages off;
${HEAD_LIMIT}
    if ($helix_version = '') { return 400; }
    if ($helix_expects) { return 417; }
    location = /health { proxy_pass ${own}; }
    location /__helix/ { proxy_pass ${own}; }
    location / {
      if ($helix_preflight) { return 418; }
      if ($helix_stranger) { return 418; }
      if ($helix_stream) { return 421; }
      if ($helix_names) { return 418; }
      proxy_hide_header Access-Control-Allow-Origin;
      proxy_hide_header Access-Control-Allow-Credentials;
      proxy_hide_header Proxy-Authenticate;
      proxy_hide_header Proxy-Connection;
      proxy_hide_header Upgrade;
      proxy_hide_header Trailer;
      add_header Vary $helix_vary always;
      add_header Access-Control-Allow-Origin $helix_origin always;
      add_header Access-Control-Allow-Credentials $helix_credentials always;
      proxy_pass ${api};
    }
    location @own { proxy_pass ${own}; }
    # Tunnels and streams of events may be silent for as long as they like, but their answers have to begin: nginx has one
    # limit for both, the fallback has two.
    location @stream {
      proxy_read_timeout 1d;
      proxy_send_timeout 1d;
      proxy_pass ${own};
    }
  }
}
`;
}

/** nginx says 400 or 414; whoever has sent too much is to know that by one status. 494 is nginx's own name for it. */
const HEAD_LIMIT = `    error_page 494 414 =431 /__helix/head-too-large;
    location = /__helix/head-too-large {
      internal;
      default_type text/plain;
      return 431 "The head of the request is too large.\\n";
    }`;

/** Least connections, and none of them twice in a second where it failed; the fallback while none is left. */
function upstreamBlock(upstreams: readonly string[], fallback: string): string {
  if (upstreams.length === 0) return '';
  const servers = upstreams.map(one => `    server ${one} max_fails=1 fail_timeout=1s;`).join('\n');
  return `  upstream helix_api {\n    least_conn;\n${servers}\n    server ${fallback} backup;\n    keepalive 64;\n  }\n`;
}

function address({ host, port }: { readonly host: string; readonly port: number }): string {
  if (isIP(host) === 0 || !isPort(port)) throw new RangeError(`not an address: ${host}:${port}`);
  return `${hostInUrl(host)}:${port}`;
}

/** A client's connection and one to an upstream for each. */
const connections = ({ maxConnections }: ProxyLimits): number => Math.min(65_536, maxConnections * 2);

const milliseconds = (ms: number): string => `${Math.max(1, Math.ceil(ms))}ms`;
