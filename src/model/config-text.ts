import type { HelixConfig } from './config.ts';
import { POSTGRES_PORT } from './defaults.ts';

/** What a service's keys mean, for whoever reads the file for the first time. */
const SERVICE_HINTS: Readonly<Record<string, string>> = {
  type: `A PostgreSQL: one that runs is reused, else one is started. Its port stays ${POSTGRES_PORT}.`,
  command: 'The program and its arguments, one by one; no shell sees them. ${port} is the port that is assigned.',
  cwd: 'The working directory, relative to this file.',
  port: 'A band {"from": …, "to": …}, one fixed port, or false for none.',
  env: 'Further environment variables, over those of .env.',
  readiness: 'When it counts as ready.',
  dependsOn: 'These must be ready before it starts.',
};

const HEADER = [
  '// What HELIX runs here, and on which ports. Comments are allowed; hover over a key to see what it means.',
  '// Without this file HELIX goes by what it detects; with it, by this file alone.',
];

/** Commented, ready to be taken into use, of what each program would have to be told. */
const SKELETON = `{
  "services": {
    // A name of your own. "api", "orchestrator" and "worker" have bands of ports by their names.
    "web": {
      // ${SERVICE_HINTS['command']}
      "command": ["\${node}", "server.js", "--port", "\${port}"],
      // ${SERVICE_HINTS['port']}
      "port": { "from": 8400, "to": 8499 },
      // ${SERVICE_HINTS['readiness']} { "http": "/health" } asks a page, { "tcp": true } for a connection.
      "readiness": { "tcp": true },
      // ${SERVICE_HINTS['env']} \${env:NAME} is taken from .env.
      "env": { "PORT": "\${port}" }
      // ${SERVICE_HINTS['dependsOn']}
      // "dependsOn": ["postgres"]
    }
    // ,"postgres": { "type": "postgres" }
  }
  // Further names in .env.local, such as those that a front end reads.
  // ,"publish": { "names": { "VITE_API_URL": "\${url:web}" } }
}`;

/** The text of a new `helix.config.json`: of what was detected, or a skeleton that is a valid one. */
export function configText(detected: HelixConfig | undefined): string {
  const body = detected ? objectText(detected, 0, ['']) : SKELETON;
  return `${[...HEADER, body].join('\n')}\n`;
}

/** Where a value stands: only the first service explains its keys. */
type Place = readonly string[];

function objectText(value: object, depth: number, place: Place, told = new Set<string>()): string {
  const entries = entriesOf(value, place);
  if (entries.length === 0) return '{}';
  const indent = '  '.repeat(depth + 1);
  const lines = entries.map(([key, one], index) => {
    const comma = index < entries.length - 1 ? ',' : '';
    const text = valueText(one, depth + 1, [...place, key], told);
    return [...hintsOf(key, place, told), `${JSON.stringify(key)}: ${text}${comma}`]
      .map(line => indent + line)
      .join('\n');
  });
  return `{\n${lines.join('\n')}\n${'  '.repeat(depth)}}`;
}

const isService = (place: Place): boolean => place.length === 3 && place[1] === 'services';

/** A service's keys in the order in which one thinks of them: what it is first. */
function entriesOf(value: object, place: Place): [string, unknown][] {
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  if (!isService(place)) return entries;
  const order = Object.keys(SERVICE_HINTS);
  const rank = ([key]: [string, unknown]): number => (order.includes(key) ? order.indexOf(key) : order.length);
  return entries.sort((a, b) => rank(a) - rank(b));
}

function hintsOf(key: string, place: Place, told: Set<string>): string[] {
  const hint = isService(place) && !told.has(key) ? SERVICE_HINTS[key] : undefined;
  if (hint === undefined) return [];
  told.add(key);
  return [`// ${hint}`];
}

function valueText(value: unknown, depth: number, place: Place, told: Set<string>): string {
  const isBranch = typeof value === 'object' && value !== null && !Array.isArray(value);
  const flat = flatText(value);
  // Services are written out; what is short enough within them stays on its line.
  if (!isBranch || (place.length > 3 && flat.length + depth * 2 < 100)) return flat;
  return objectText(value, depth, place, told);
}

/** On one line, with spaces as people write it. */
function flatText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flatText).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  if (entries.length === 0) return '{}';
  return `{ ${entries.map(([key, one]) => `${JSON.stringify(key)}: ${flatText(one)}`).join(', ')} }`;
}
