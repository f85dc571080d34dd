import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { isPort } from '../model/port.ts';
import { hostInUrl } from './addresses.ts';
import type { Listen, ProxyLimits, ProxySnapshot } from './engine.ts';

export interface NginxConfigInput {
  readonly listen: Listen;
  readonly limits: ProxyLimits;
  readonly snapshot: Pick<ProxySnapshot, 'upstreams' | 'origins' | 'hosts'>;
  /** Answers for the proxy itself, and takes what no upstream takes. */
  readonly fallback: Listen;
  /** Only where nginx runs as root: workers that may not read their own prefix could not start. */
  readonly user: string | undefined;
}

const ORIGIN = /^https?:\/\/[A-Za-z0-9.:[\]-]+$/;
const HOST = /^[A-Za-z0-9.-]+$/;
const USER = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
const SECOND = 1000;
/** One worker does 30,000 requests a second; more than a few only take memory on a big machine. */
const MAX_WORKERS = 4;

/** Where the prefix is: `-p`. All paths in the configuration are relative to it, so that none is written into it. */
export const NGINX_FOLDERS = ['logs', 'tmp'] as const;

/**
 * nginx's configuration for this state. Whatever comes from outside is a number, an IP address, or matches an alphabet
 * without meaning to nginx; anything else is left out (an origin, a host) or refused.
 *
 * It differs from the embedded engine where nginx cannot do otherwise: fields that a request names in `Connection` are
 * passed on, its own error pages are nginx's, an answer to a request may come from the fallback while the API restarts,
 * and a reload closes idle connections of clients, as any server may.
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
    '"[::1]"',
    ...(snapshot.hosts ?? []).filter(host => HOST.test(host)),
  ];
  if (isIP(listen.host)) names.push(`"${hostInUrl(listen.host)}"`);
  return `# Written by HELIX Dynamic Ports for this workspace's proxy; changes are overwritten.
daemon off;
master_process on;
worker_processes ${Math.min(MAX_WORKERS, availableParallelism())};
${user !== undefined && USER.test(user) ? `user ${user};` : ''}
pid nginx.pid;
error_log stderr warn;
worker_shutdown_timeout ${Math.max(1, Math.ceil(limits.drainMs / SECOND))}s;
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
  client_header_timeout ${seconds(limits.headersTimeoutMs)};
  client_body_timeout ${seconds(limits.bodyIdleMs)};
  client_header_buffer_size 4k;
  large_client_header_buffers 4 ${Math.ceil(limits.maxHeaderBytes / 1024)}k;
  keepalive_timeout ${seconds(limits.keepAliveMs)};
  keepalive_requests 1000000;
  lingering_close on;
  underscores_in_headers on;

  map $http_upgrade $helix_upgrade { default ''; ~*^websocket$ websocket; }
  map $http_upgrade $helix_connection { default ''; ~*^websocket$ upgrade; }
  map $http_origin $helix_origin {
    default '';
${origins(snapshot.origins, listen)}
  }
  map $helix_origin $helix_credentials { default true; '' ''; }
  map "$request_method $http_origin $http_access_control_request_method" $helix_preflight { default 0; "~^OPTIONS [^ ]+ [^ ]+$" 1; }
  map "$helix_upgrade $http_origin" $helix_asks { default ''; "~^websocket (?<asks>https?:.+)$" $asks; }
  map "$helix_upgrade:$http_origin:$helix_origin" $helix_stranger { default 0; "~^websocket:https?:[^ ]+:$" 1; }
  map $remote_addr $helix_for { default $remote_addr; "~:" "\\"[$remote_addr]\\""; }
  map $http_forwarded $helix_forwarded { default "$http_forwarded, for=$helix_for;host=\\"$http_host\\";proto=http"; '' "for=$helix_for;host=\\"$http_host\\";proto=http"; }
  map $http_x_forwarded_proto $helix_proto { default http; https https; }
  map $http_x_forwarded_host $helix_host { default $http_host; "~^[A-Za-z0-9._~:\\[\\]-]+$" $http_x_forwarded_host; }
  map $http_x_forwarded_port $helix_port { default $server_port; "~^[0-9]+$" $http_x_forwarded_port; }
  map $http_via $helix_via { default "$http_via, 1.1 helix-ports"; '' "1.1 helix-ports"; }

  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_connect_timeout ${seconds(limits.connectMs)};
  proxy_send_timeout ${seconds(limits.bodyIdleMs)};
  proxy_read_timeout ${seconds(limits.responseMs)};
  proxy_next_upstream error timeout;
  proxy_next_upstream_tries 3;
  proxy_set_header Host $http_host;
  proxy_set_header Connection $helix_connection;
  proxy_set_header Upgrade $helix_upgrade;
  proxy_set_header Proxy-Connection '';
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
    location / { proxy_pass ${own}; }
  }
  server {
    listen ${at};
    server_name ${[...new Set(names)].join(' ')};
    error_page 418 = @own;
    error_page 421 = @tunnel;
    recursive_error_pages off;
    location = /health { proxy_pass ${own}; }
    location /__helix/ { proxy_pass ${own}; }
    location / {
      if ($helix_preflight) { return 418; }
      if ($helix_stranger) { return 418; }
      if ($helix_upgrade) { return 421; }
      proxy_hide_header Access-Control-Allow-Origin;
      proxy_hide_header Access-Control-Allow-Credentials;
      add_header Vary Origin always;
      add_header Access-Control-Allow-Origin $helix_origin always;
      add_header Access-Control-Allow-Credentials $helix_credentials always;
      proxy_pass ${api};
    }
    location @own { proxy_pass ${own}; }
    # A tunnel may be silent for as long as it likes.
    location @tunnel {
      proxy_read_timeout 1d;
      proxy_send_timeout 1d;
      proxy_pass ${api};
    }
  }
}
`;
}

/** Least connections, and none of them twice in a second where it failed; the fallback while none is left. */
function upstreamBlock(upstreams: readonly string[], fallback: string): string {
  if (upstreams.length === 0) return '';
  const servers = upstreams.map(one => `    server ${one} max_fails=1 fail_timeout=1s;`).join('\n');
  return `  upstream helix_api {\n    least_conn;\n${servers}\n    server ${fallback} backup;\n    keepalive 64;\n  }\n`;
}

function origins(all: readonly string[], listen: Listen): string {
  const own = ['localhost', '127.0.0.1', '[::1]'].map(host => `http://${host}:${listen.port}`);
  return [...new Set([...own, ...all])]
    .filter(origin => ORIGIN.test(origin))
    .map(origin => `    "${origin}" $http_origin;`)
    .join('\n');
}

function address({ host, port }: { readonly host: string; readonly port: number }): string {
  if (isIP(host) === 0 || !isPort(port)) throw new RangeError(`not an address: ${host}:${port}`);
  return `${hostInUrl(host)}:${port}`;
}

/** A client's connection and one to an upstream for each. */
const connections = ({ maxConnections }: ProxyLimits): number => Math.min(65_536, maxConnections * 2);

const seconds = (ms: number): string => `${Math.max(1, Math.ceil(ms / SECOND))}s`;
