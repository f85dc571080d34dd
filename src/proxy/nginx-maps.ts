import { hostInUrl } from './addresses.ts';
import type { Listen } from './engine.ts';

const ORIGIN = /^(null|https?:\/\/[A-Za-z0-9.:[\]-]+)$/;

/** The variables of nginx's configuration, each for one question about a request or an answer. */
export function nginxMaps(origins: readonly string[], listen: Listen): string {
  return `
  # What the client may be told, and asks for.
  map $http_origin $helix_origin {
    default '';
${originRows(origins, listen)}
  }
  map $helix_origin $helix_credentials { default true; '' ''; }
  map $upstream_http_vary $helix_vary { default Origin; '*' ''; "~*(^|[ ,])origin([ ,]|$)" ''; }
  map "$request_method $http_origin $http_access_control_request_method" $helix_preflight { default 0; "~^OPTIONS [^ ]+ [^ ]+$" 1; }
  map $http_upgrade $helix_upgrade { default ''; ~*^websocket$ websocket; }
  map "$helix_upgrade:$http_origin:$helix_origin" $helix_stranger { default 0; "~^websocket:(https?:[^ ]+|null):$" 1; }
  map "$helix_upgrade $http_accept" $helix_stream { default 0; ~^websocket 1; "~*[ ,]text/event-stream" 1; }
  map $http_expect $helix_expects { default 1; '' 0; 100-continue 0; }
  map $server_protocol $helix_version { default ''; HTTP/1.0 1.0; HTTP/1.1 1.1; }

  # Fields named in Connection, which only the fallback can remove. A client from elsewhere cannot hide its address so.
  map $http_connection $helix_names { default 1; '' 0; "~*forwarded" 0; "~*^[ ,]*((close|keep-alive|te|upgrade|http2-settings)[ ,]*)+$" 0; }
  map $helix_names $helix_named { default ''; 1 $http_connection; }
  map $helix_upgrade $helix_connection { default upgrade; '' $helix_named; }

  # Where the request goes to: its target outranks Host (RFC 9112, 3.2.2).
  map $http_host $helix_host_field { default $http_host; '' "${hostInUrl(listen.host)}:${listen.port}"; }
  map $request $helix_authority { default $helix_host_field; "~^[^ ]+ [A-Za-z]+://(?<helix_target>[^/?# ]+)" $helix_target; }

  # What a proxy on this machine found out before us is kept.
  map $remote_addr $helix_local { default 0; "~^(::ffff:)?127\\." 1; "::1" 1; }
  map $remote_addr $helix_for { default $remote_addr; "~:" "\\"[$remote_addr]\\""; }
  map "$helix_local $http_x_forwarded_proto" $helix_proto { default http; "1 https" https; }
  map "$helix_local $http_x_forwarded_host" $helix_host { default $helix_authority; "~^1 (?<helix_said_host>[A-Za-z0-9._~:\\[\\]-]+)$" $helix_said_host; }
  map "$helix_local $http_x_forwarded_port" $helix_said_port { default ''; "~^1 (?<helix_digits>[0-9]+)$" $helix_digits; }
  map "$helix_said_port|$helix_proto|$helix_host" $helix_port {
    default 80;
    "~^(?<helix_first>[0-9]+)\\|" $helix_first;
    "~:(?<helix_last>[0-9]+)$" $helix_last;
    "~^\\|https\\|" 443;
  }
  map $http_forwarded $helix_forwarded { default "$http_forwarded, for=$helix_for;host=\\"$helix_authority\\";proto=http"; '' "for=$helix_for;host=\\"$helix_authority\\";proto=http"; }
  map $http_via $helix_via { default "$http_via, $helix_version helix-ports"; '' "$helix_version helix-ports"; }
`;
}

function originRows(all: readonly string[], listen: Listen): string {
  const own = ['localhost', '127.0.0.1', '[::1]'].map(host => `http://${host}:${listen.port}`);
  return [...new Set([...own, ...all])]
    .filter(origin => ORIGIN.test(origin))
    .map(origin => `    "${origin}" $http_origin;`)
    .join('\n');
}
