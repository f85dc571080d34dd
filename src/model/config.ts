import {
  createScanner,
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
// As a namespace, and the small one: `import { z } from 'zod'` brings 450 kB and 50 ms into every bundle.
import * as z from 'zod/mini';
import { IMAGE_PATTERN, POSTGRES_IMAGE, POSTGRES_PORT, PROXY_PORT } from './defaults.ts';
import { SERVICE_ID_PATTERN } from './service.ts';
import { type Variable, VARIABLES, variablesOf } from './variables.ts';

/**
 * `helix.config.json`: read here, and nowhere else, into a checked `HelixConfig` or a list of problems with their
 * places. The same schema, with its descriptions, is what the editor completes and explains.
 */
const described = <T extends z.ZodMiniType>(description: string, schema: T): z.ZodMiniOptional<T> =>
  z.optional(schema.check(z.describe(description)));

const text = z.string().check(z.minLength(1), z.regex(/^[^\0]*$/, 'must not hold a NUL character'));
const port = z.int().check(z.minimum(1), z.maximum(65_535));
const path = z.string().check(z.regex(/^\//, 'must begin with "/"'));
const milliseconds = z.int().check(z.minimum(1));
const seconds = z.number().check(z.positive(), z.maximum(86_400));

const command = z.array(text).check(z.minLength(1));
const commandByPlatform = z.strictObject({
  linux: described('On Linux.', command),
  darwin: described('On macOS.', command),
  win32: described('On Windows.', command),
  default: described('On every other system.', command),
});

const BAND_NAMES = ['api', 'orchestrator', 'worker'] as const;

const readiness = z.strictObject({
  http: described('Ready when a GET of this path is answered as expected.', path),
  status: described('The HTTP status to expect; 200 without it.', z.int().check(z.minimum(100), z.maximum(599))),
  expect: described('What the JSON answer must at least hold, such as { "status": "healthy" }.', z.unknown()),
  tcp: described('Ready when the port accepts connections.', z.literal(true)),
  log: described('Ready when a line of output matches this regular expression.', text),
  aliveSeconds: described(
    'Ready when it has run so long; for services that open no port.',
    z.number().check(z.minimum(0), z.maximum(3600)),
  ),
  timeoutSeconds: described('How long it may take to become ready; 60 without it.', seconds),
});

const restart = z.strictObject({
  policy: described(
    'always (the default), on-failure (not after exit code 0), or never.',
    z.enum(['always', 'on-failure', 'never']),
  ),
  initialDelayMs: described('The pause before the first restart; it doubles each time. 250 without it.', milliseconds),
  maxDelayMs: described('The longest pause; 30000 without it.', milliseconds),
  maxExits: described(
    'More exits than this within the window are a crash loop; 5 without it.',
    z.int().check(z.minimum(0)),
  ),
  windowSeconds: described('The window for maxExits; 60 without it.', seconds),
  resetSeconds: described('So long healthy, and earlier exits are forgotten; 30 without it.', seconds),
});

const variableName = z.string().check(z.regex(/^[^=\0]+$/, 'is not a variable name: it is empty or has a "="'));
const publishedName = z
  .string()
  .check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not a variable name: letters, digits and _ only'));
const variableValue = z.pipe(
  z.union([z.string(), z.number(), z.boolean()]),
  z.transform(value => String(value)),
);

/** Below this file, so that no glob makes us read all of a disk. */
const glob = text.check(
  z.refine(
    value => !/^!?[/\\]|^!?[A-Za-z]:|(^!?|[/\\])\.\.([/\\]|$)/.test(value),
    'is not below this file: it begins at a root or has a ".."',
  ),
);
const globs = z.array(glob).check(z.minLength(1));

const service = z.strictObject({
  type: described(
    'process (the default): a command to run. postgres: a PostgreSQL that HELIX finds, reuses or starts.',
    z.enum(['process', 'postgres']),
  ),
  label: described('The name that people see.', text),
  command: described(
    `The program and its arguments, one by one and without a shell, or such a list for each platform. May hold ${VARIABLES}.`,
    z.union([command, commandByPlatform]),
  ),
  cwd: described('Working directory, relative to this file.', text),
  env: described(`Environment variables. Values may hold ${VARIABLES}.`, z.record(variableName, variableValue)),
  port: described(
    'A named band ("api" 8000-8099, "orchestrator" 8100-8199, "worker" 8200-8299), a band { "from": …, "to": … }, ' +
      'one fixed port, or false for none. Without it: the band of its name, or none.',
    z.union([z.enum(BAND_NAMES), z.strictObject({ from: port, to: port }), port, z.literal(false)]),
  ),
  readiness: described('When the service counts as ready: one of http, tcp, log, aliveSeconds.', readiness),
  dependsOn: described('Services that must be ready before this one starts.', z.array(z.string())),
  replicas: described('How many of it run side by side; 1 without it.', z.int().check(z.minimum(1), z.maximum(64))),
  restart: described('What happens when it ends by itself.', restart),
  stopTimeoutSeconds: described('How long SIGINT is given before SIGTERM; 10 without it.', seconds),
  tty: described('It gets the terminal itself rather than a pipe: for debuggers and prompts.', z.boolean()),
  path: described('The page that Open goes to, such as "/docs".', path),
  watch: described(
    'Globs, such as "src/worker/**/*.py": saving a file that matches restarts it, without a gap where that is possible.',
    globs,
  ),
});

const publish = z.strictObject({
  envFile: described(
    'The file with the marked block (".env.local" without it), or false for none.',
    z.union([text, z.literal(false)]),
  ),
  names: described(
    'Further variables by name, such as "VITE_HELIX_API_URL": "${url:api}". May hold ${url:ID} and ${port:ID}.',
    z.record(publishedName, z.string()),
  ),
  settings: described('Keep helix.apiUrl in the workspace settings.', z.boolean()),
  keepOnStop: described('Leave what was published when the services stop.', z.boolean()),
});

const proxy = z.strictObject({
  enabled: described('Run a proxy, so that the API has one address whatever its port.', z.boolean()),
  engine: described('embedded (the default, nothing to install) or nginx.', z.enum(['embedded', 'nginx'])),
  port: described('The address; 8080 without it, or one of 8300-8399 when that is taken.', port),
  strict: described('Fail rather than take another port.', z.boolean()),
  drainSeconds: described(
    'How long requests and streams of a process that is being replaced may go on; 30 without it.',
    z.number().check(z.minimum(0), z.maximum(3600)),
  ),
  origins: described(
    'Further pages that may call the API from a browser, such as "http://localhost:5173", "${url:web}", or "null" for files.',
    z.array(text),
  ),
  watch: described('Globs, such as "src/**/*.py": saving a file that matches replaces the API without a gap.', globs),
});

const postgres = z.strictObject({
  engine: described(
    'Where a PostgreSQL comes from when none answers: auto (the default), system, embedded, docker, or external (never start one).',
    z.enum(['auto', 'system', 'embedded', 'docker', 'external']),
  ),
  image: described(
    `The image of the engine docker; ${POSTGRES_IMAGE} without it.`,
    z.string().check(z.regex(IMAGE_PATTERN, 'is not the name of an image, such as "postgres:16"')),
  ),
});

const configSchema = z.strictObject({
  $schema: described('The JSON schema of this file, for editors that need to be told.', z.string()),
  services: z
    .record(
      z
        .string()
        .check(z.regex(SERVICE_ID_PATTERN, 'is not a service id: a-z, 0-9 and -, beginning with a letter, at most 31')),
      service,
    )
    .check(
      z.describe('The services of this workspace by id.'),
      z.refine(ids => Object.keys(ids).length > 0, 'is empty; it needs at least one service'),
    ),
  publish: described('What is told to programs, and where.', publish),
  proxy: described('The stable address in front of the API.', proxy),
  postgres: described('How the service of type postgres is found or started.', postgres),
});

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

export type HelixConfig = DeepReadonly<z.output<typeof configSchema>>;
export type ServiceConfig = HelixConfig['services'][string];

/** The JSON schema of the file (draft 7, which VS Code's JSON editor knows whole). */
export const configJsonSchema = (): object => z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });

/** Line and column from 1, offset and length in UTF-16 units, a byte order mark not counted: as editors count. */
export interface ConfigProblem {
  /** `form`: what the JSON schema tells as well. `meaning`: what one part means for another, a key that is there twice. */
  readonly kind: 'form' | 'meaning';
  readonly message: string;
  readonly path: Path;
  readonly line: number;
  readonly column: number;
  readonly offset: number;
  readonly length: number;
}

export type ParsedConfig =
  | { readonly ok: true; readonly config: HelixConfig }
  | { readonly ok: false; readonly problems: readonly [ConfigProblem, ...ConfigProblem[]] };

type Path = readonly (string | number)[];

/** Far more than a configuration needs, and far less than would overflow the parser's stack. */
const MAX_DEPTH = 64;
/** A file that is no configuration at all has a problem in every line. */
const MAX_PROBLEMS = 100;

/**
 * Comments and trailing commas are allowed. Never throws: all that is wrong is in the problems, in the file's order.
 * Of a file that is not JSON only that is told, of one that is, every unknown key, wrong value and contradiction.
 */
export function parseConfig(source: string): ParsedConfig {
  const content = source.replace(/^\ufeff/, '');
  const problems = new Problems(content);
  const root = parseSyntax(content, problems);
  if (!root) return problems.refuse();
  problems.root = root;
  checkKeys(root, problems);
  const value: unknown = getNodeValue(root);
  const parsed = z.safeParse(configSchema, value);
  if (!parsed.success) for (const issue of parsed.error.issues) reportIssue(issue, value, problems);
  problems.kind = 'meaning';
  checkMeaning(value, problems);
  return parsed.success && problems.isEmpty ? { ok: true, config: parsed.data } : problems.refuse();
}

/** Problems on their way to a list in the file's order. */
class Problems {
  root: Node | undefined;
  /** What the problems that are told now are of. */
  kind: ConfigProblem['kind'] = 'form';
  private readonly found: ConfigProblem[] = [];

  constructor(private readonly content: string) {}

  get isEmpty(): boolean {
    return this.found.length === 0;
  }

  get isFull(): boolean {
    return this.found.length >= MAX_PROBLEMS;
  }

  /** At the value, or where that is missing at the key of what it is missing from. */
  atValue(at: Path, message: string): void {
    const node = this.root && findNodeAtLocation(this.root, [...at]);
    if (node) this.atNode(node, at, message);
    else this.atKey(at.slice(0, -1), message, at);
  }

  /** At the last key of the path. */
  atKey(at: Path, message: string, path = at): void {
    const node = this.root && findNodeAtLocation(this.root, [...at]);
    const key = node?.parent?.type === 'property' ? node.parent.children?.[0] : undefined;
    if (key) this.atNode(key, path, message);
    else if (at.length > 0) this.atKey(at.slice(0, -1), message, path);
    // The file itself: its first brace, rather than all of it.
    else this.atRange(this.root?.offset ?? 0, 1, path, message);
  }

  /** At a variable within a string, where its place can be told: an escape in the string shifts what follows. */
  atVariable(at: Path, variable: Variable, message: string): void {
    const node = this.root && findNodeAtLocation(this.root, [...at]);
    if (!node || this.content.slice(node.offset, node.offset + node.length).includes('\\')) this.atValue(at, message);
    else this.atRange(node.offset + 1 + variable.offset, variable.text.length, at, message);
  }

  atNode(node: Node, at: Path, message: string): void {
    this.atRange(node.offset, node.length, at, message);
  }

  atRange(start: number, extent: number, at: Path, message: string): void {
    if (this.isFull) return;
    // The parser places what is missing after the end a little behind it.
    const offset = Math.min(start, this.content.length);
    const length = Math.min(extent, this.content.length - offset);
    const before = this.content.slice(0, offset).split(/\r\n|\n|\r/);
    const place = { line: before.length, column: before.at(-1)!.length + 1, offset, length };
    this.found.push({ kind: this.kind, message, path: at, ...place });
  }

  refuse(): ParsedConfig {
    const [first, ...rest] = this.found.sort((a, b) => a.offset - b.offset);
    if (!first) throw new Error('A configuration was refused without a reason');
    return { ok: false, problems: [first, ...rest] };
  }
}

function parseSyntax(content: string, problems: Problems): Node | undefined {
  if (content.trim() === '') {
    problems.atRange(0, 0, [], 'The file is empty; it needs { "services": { … } }.');
    return undefined;
  }
  const tooDeep = depthExceededAt(content);
  if (tooDeep !== undefined) {
    problems.atRange(tooDeep, 1, [], `Nested more than ${MAX_DEPTH} levels deep.`);
    return undefined;
  }
  const errors: ParseError[] = [];
  const root = parseTree(content, errors, { allowTrailingComma: true });
  for (const { error, offset, length } of firstOfEachPlace(errors)) {
    problems.atRange(offset, length, [], `Not valid JSON: ${wordsOf(printParseErrorCode(error))}.`);
  }
  return errors.length === 0 ? root : undefined;
}

/** What follows from the first, such as every brace that the end of the file leaves open, helps nobody. */
const firstOfEachPlace = (errors: readonly ParseError[]): ParseError[] => [
  ...new Map([...errors].reverse().map(error => [error.offset, error])).values(),
];

/** `CommaExpected` -> `comma expected`. */
const wordsOf = (code: string): string => code.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase();

/** The parser is recursive; the scanner is not. */
function depthExceededAt(content: string): number | undefined {
  const scanner = createScanner(content, true);
  let depth = 0;
  for (scanner.scan(); scanner.getTokenOffset() < content.length; scanner.scan()) {
    const opening = content[scanner.getTokenOffset()]!;
    if ('{['.includes(opening)) depth++;
    if (']}'.includes(opening)) depth--;
    if (depth > MAX_DEPTH) return scanner.getTokenOffset();
  }
  return undefined;
}

/** JSON takes the last of two equal keys; whoever wrote both meant something else. */
function checkKeys(node: Node, problems: Problems, at: Path = []): void {
  const seen = new Set<string>();
  for (const [index, child] of (node.children ?? []).entries()) {
    const [key, value] = node.type === 'object' ? (child.children ?? []) : [undefined, child];
    const name = key ? String(key.value) : index;
    if (key && seen.has(String(name))) problems.atNode(key, [...at, name], `"${name}" is there twice.`);
    // Skipped in silence by the schema, because of what it means to JavaScript.
    if (key && name === '__proto__') problems.atNode(key, [...at, name], '"__proto__" cannot be a name here.');
    seen.add(String(name));
    if (value) checkKeys(value, problems, [...at, name]);
  }
}

type Issue = z.core.$ZodIssue;

function reportIssue(issue: Issue, value: unknown, problems: Problems): void {
  const at = issue.path.map(key => (typeof key === 'symbol' ? String(key) : key));
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys) {
        // Told already, by `checkKeys`.
        if (problems.isFull || key === '__proto__') continue;
        problems.atKey([...at, key], `${inWords(at)} has no "${key}".${hint(key, keysOf(configSchema, at))}`);
      }
      return;
    case 'invalid_key':
      return problems.atKey(at, `"${at.at(-1)}" ${issue.issues[0]?.message ?? 'is not a valid key'}.`);
    case 'invalid_union': {
      // An alternative whose kind of value fits, and only what is in it does not, is the one that was meant.
      const meant = issue.errors.find(issues =>
        issues.every(one => one.path.length > 0 || (one.code !== 'invalid_type' && one.code !== 'invalid_value')),
      );
      if (!meant)
        return problems.atValue(
          at,
          `${inWords(at)} must be ${expectedBy(issue.errors.flat())}, not ${show(valueAt(value, at))}.`,
        );
      for (const one of meant) reportIssue({ ...one, path: [...issue.path, ...one.path] }, value, problems);
      return;
    }
    default:
      problems.atValue(at, messageFor(issue, at, valueAt(value, at)));
  }
}

function messageFor(issue: Issue, at: Path, actual: unknown): string {
  const subject = inWords(at);
  if (actual === undefined) return `${inWords(at.slice(0, -1))} needs "${at.at(-1)}".`;
  switch (issue.code) {
    case 'invalid_type':
    case 'invalid_value':
      return `${subject} must be ${expectedBy([issue])}, not ${show(actual)}.`;
    case 'too_small':
    case 'too_big':
      return `${subject} must ${limitOf(issue)}.`;
    default:
      return `${subject} ${issue.message}.`;
  }
}

function limitOf(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  if (issue.origin === 'string' || issue.origin === 'array') return 'not be empty';
  if (issue.code === 'too_big') return `be at most ${issue.maximum}`;
  return issue.inclusive ? `be at least ${issue.minimum}` : `be more than ${issue.minimum}`;
}

function expectedBy(issues: readonly Issue[]): string {
  const kinds = issues.flatMap(issue => {
    if (issue.code === 'invalid_value') return issue.values.map(one => JSON.stringify(one));
    if (issue.code !== 'invalid_type') return [];
    return KINDS[issue.expected] ?? issue.expected;
  });
  const [last, ...others] = [...new Set(kinds)].reverse();
  return others.length > 0 ? `${others.reverse().join(', ')} or ${last}` : (last ?? 'something else');
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const shown = JSON.stringify(value);
  return shown.length > 40 ? `${shown.slice(0, 39)}…` : shown;
}

const inWords = (at: Path): string => (at.length === 0 ? 'The configuration' : at.join('.'));

function valueAt(value: unknown, at: Path): unknown {
  return at.reduce<unknown>((inner, key) => (isObject(inner) ? inner[key] : undefined), value);
}

const isObject = (value: unknown): value is Readonly<Record<string | number, unknown>> =>
  typeof value === 'object' && value !== null;

/** The keys that the schema knows at a path. */
function keysOf(schema: z.core.$ZodType, at: Path): readonly string[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const [key, ...rest] = at;
  switch (def.type) {
    case 'optional':
      return keysOf(def.innerType, at);
    case 'union':
      return def.options.flatMap(option => keysOf(option, at));
    case 'record':
      return key === undefined ? [] : keysOf(def.valueType, rest);
    case 'object': {
      if (key === undefined) return Object.keys(def.shape);
      const inner = def.shape[key];
      return inner ? keysOf(inner, rest) : [];
    }
    default:
      return [];
  }
}

function hint(word: string, candidates: Iterable<string>): string {
  const limit = Math.max(1, Math.floor(word.length / 3));
  const near = [...candidates]
    .map(candidate => ({ candidate, distance: editDistance(word.slice(0, 40).toLowerCase(), candidate.toLowerCase()) }))
    .filter(one => one.distance <= limit)
    .sort((a, b) => a.distance - b.distance)[0];
  return near ? ` Did you mean "${near.candidate}"?` : '';
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/**
 * What the schema cannot say: what one part means for another. Looks at each part that is right in itself, also when
 * others are not, so that all problems come at once.
 */
function checkMeaning(value: unknown, problems: Problems): void {
  const services = servicesIn(value);
  for (const [id, { config, dependsOn }] of services) {
    for (const [index, other] of dependsOn.entries()) {
      if (services.has(other) || problems.isFull) continue;
      problems.atValue(['services', id, 'dependsOn', index], noService(other, services));
    }
    if (!config) continue;
    checkKind(id, config, problems);
    checkReadiness(id, config, problems);
    checkRestart(id, config, problems);
    for (const [at, template] of templatesOf(id, config)) checkTemplate(at, template, { self: id, services }, problems);
  }
  const publishing = z.safeParse(publish, valueAt(value, ['publish'])).data;
  for (const [name, template] of Object.entries(publishing?.names ?? {})) {
    checkTemplate(['publish', 'names', name], template, { self: undefined, services }, problems);
  }
  const front = z.safeParse(proxy, valueAt(value, ['proxy'])).data;
  checkFixedPorts(services, front, problems);
  checkOrigins(front?.origins ?? [], services, problems);
  checkCycles(services, problems);
}

interface Declared {
  /** Undefined for a service that has problems of its own. */
  readonly config: ServiceConfig | undefined;
  /** As it stands there, so that a problem elsewhere in the service hides none here. */
  readonly dependsOn: readonly string[];
}

type Services = ReadonlyMap<string, Declared>;

function servicesIn(value: unknown): Services {
  const raw = valueAt(value, ['services']);
  const entries = isObject(raw) ? Object.entries(raw).filter(([id]) => id !== '__proto__') : [];
  return new Map(
    entries.map(([id, one]) => {
      const list = valueAt(one, ['dependsOn']);
      return [id, { config: z.safeParse(service, one).data, dependsOn: isList(list) ? list : [] }];
    }),
  );
}

const noService = (id: string, services: Services): string =>
  `There is no service "${id}".${hint(id, services.keys())}`;

function checkKind(id: string, one: ServiceConfig, problems: Problems): void {
  const at = ['services', id];
  const { port: wanted, command: given } = one;
  if (one.type === 'postgres') {
    if (given !== undefined)
      problems.atKey([...at, 'command'], `${id} is a PostgreSQL, whose command is not configured.`);
    if (wanted !== undefined && typeof wanted !== 'number') {
      problems.atValue(
        [...at, 'port'],
        `${id} is a PostgreSQL, whose port is fixed: give its number, or leave it out.`,
      );
    }
  } else if (given === undefined) {
    problems.atKey(at, `${id} needs a "command".`);
  } else if (isObject(given) && Object.keys(given).length === 0) {
    problems.atValue([...at, 'command'], `${id} needs a command for a platform, or a "default".`);
  }
  if (isObject(wanted) && wanted.from > wanted.to) {
    problems.atValue([...at, 'port'], `The band ${wanted.from}-${wanted.to} is empty: "from" is greater than "to".`);
  }
  if (typeof wanted === 'number' && (one.replicas ?? 1) > 1) {
    problems.atValue(
      [...at, 'replicas'],
      `${one.replicas} replicas of ${id} cannot share the fixed port ${wanted}; give it a band.`,
    );
  }
}

const READINESS_KINDS = ['http', 'tcp', 'log', 'aliveSeconds'] as const;

function checkReadiness(id: string, one: ServiceConfig, problems: Problems): void {
  const { readiness: ready } = one;
  if (!ready) return;
  const at = ['services', id, 'readiness'];
  const kinds = READINESS_KINDS.filter(kind => ready[kind] !== undefined);
  if (one.type === 'postgres' && kinds.length > 0) {
    problems.atKey(
      [...at, kinds[0]!],
      `${id} is a PostgreSQL, which is asked in its own way; only "timeoutSeconds" counts here.`,
    );
  } else if (kinds.length > 1) {
    problems.atKey([...at, kinds[1]!], `Only one of ${kinds.join(', ')} can say when ${id} is ready.`);
  }
  for (const key of ['status', 'expect'] as const) {
    if (ready[key] !== undefined && ready.http === undefined)
      problems.atKey([...at, key], `"${key}" needs an "http" path to ask.`);
  }
  for (const key of ['http', 'tcp'] as const) {
    if (ready[key] !== undefined && !hasPort(id, one))
      problems.atKey([...at, key], `${id} has no port that could be asked; give it a "port".`);
  }
  if (ready.log !== undefined) checkPattern([...at, 'log'], ready.log, problems);
}

function checkPattern(at: Path, pattern: string, problems: Problems): void {
  try {
    new RegExp(pattern);
  } catch (error) {
    problems.atValue(at, `${error instanceof Error ? error.message : String(error)}.`);
  }
}

function checkRestart(id: string, { restart: policy }: ServiceConfig, problems: Problems): void {
  const { initialDelayMs, maxDelayMs } = policy ?? {};
  if (initialDelayMs !== undefined && maxDelayMs !== undefined && initialDelayMs > maxDelayMs) {
    problems.atValue(
      ['services', id, 'restart', 'initialDelayMs'],
      `initialDelayMs is more than maxDelayMs (${maxDelayMs}).`,
    );
  }
}

const hasPort = (id: string, one: ServiceConfig): boolean =>
  one.type === 'postgres' || (one.port === undefined ? BAND_NAMES.some(name => name === id) : one.port !== false);

function checkFixedPorts(services: Services, front: z.output<typeof proxy> | undefined, problems: Problems): void {
  const owners = new Map<number, string>();
  const take = (number: number, owner: string, at: Path): void => {
    const other = owners.get(number);
    if (other !== undefined) problems.atValue(at, `Port ${number} is the fixed port of ${other} already.`);
    else owners.set(number, owner);
  };
  for (const [id, { config }] of services) {
    const fixed = config?.port ?? (config?.type === 'postgres' ? POSTGRES_PORT : undefined);
    if (typeof fixed === 'number') take(fixed, id, ['services', id, 'port']);
  }
  if (front?.enabled) take(front.port ?? PROXY_PORT, 'the proxy', ['proxy', 'port']);
}

/** An origin as a browser sends it; a variable stands for one, and what it will be is not known yet. */
function checkOrigins(origins: readonly string[], services: Services, problems: Problems): void {
  for (const [index, origin] of origins.entries()) {
    const at = ['proxy', 'origins', index];
    checkTemplate(at, origin, { self: undefined, services }, problems);
    if (variablesOf(origin).length > 0 || isOrigin(origin)) continue;
    problems.atValue(
      at,
      `"${origin}" is not an origin: http:// or https://, a host, a port and nothing behind it; or null, for files.`,
    );
  }
}

function isOrigin(text: string): boolean {
  // What browsers send for a page that was opened as a file.
  if (text === 'null') return true;
  if (!/^https?:\/\/[^*]+$/.test(text)) return false;
  try {
    // The parser leaves out a port that is the scheme's own, as a browser does.
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}

/** The strings in which variables are replaced, and those in which somebody may believe so. */
function templatesOf(id: string, one: ServiceConfig): [Path, string][] {
  const at = ['services', id];
  const found: [Path, string][] = [];
  const add = (path: Path, template: string | undefined): void => {
    if (template !== undefined) found.push([[...at, ...path], template]);
  };
  const lists = isList(one.command) ? { '': one.command } : (one.command ?? {});
  for (const [platform, words] of Object.entries(lists)) {
    for (const [index, word] of (words ?? []).entries()) add(['command', ...(platform ? [platform] : []), index], word);
  }
  for (const [name, template] of Object.entries(one.env ?? {})) add(['env', name], template);
  add(['cwd'], one.cwd);
  add(['path'], one.path);
  add(['readiness', 'http'], one.readiness?.http);
  return found;
}

const isList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(one => typeof one === 'string');

interface TemplateContext {
  /** The service that the template belongs to, or undefined for what is published. */
  readonly self: string | undefined;
  readonly services: Services;
}

function checkTemplate(at: Path, template: string, context: TemplateContext, problems: Problems): void {
  const isReplaced = context.self === undefined || at[2] === 'command' || at[2] === 'env';
  for (const variable of variablesOf(template)) {
    const problem = isReplaced
      ? variableProblem(variable, context)
      : `Variables are not replaced in ${at.slice(2).join('.')}.`;
    if (problem !== undefined) problems.atVariable(at, variable, problem);
  }
}

function variableProblem(
  { kind, argument, text: written }: Variable,
  { self, services }: TemplateContext,
): string | undefined {
  const isPeer = argument !== undefined && (kind === 'url' || kind === 'port');
  if (isPeer) return peerProblem(argument, written, self, services);
  const isOwn =
    argument === undefined
      ? ['port', 'host', 'node', 'python', 'workspaceFolder'].includes(kind)
      : kind === 'env' && argument !== '';
  if (!written.endsWith('}')) return `"${written}" has no "}". For the characters themselves write "$\${".`;
  if (!isOwn) return `Unknown variable ${written}. There are ${VARIABLES}; for the characters themselves write "$\${".`;
  if (self === undefined) return `${written} has no value outside a service; use \${url:ID} or \${port:ID}.`;
  const one = services.get(self)?.config;
  return kind === 'port' && one && !hasPort(self, one) ? `${self} has no port, so ${written} has no value.` : undefined;
}

function peerProblem(id: string, written: string, self: string | undefined, services: Services): string | undefined {
  if (!services.has(id)) return noService(id, services);
  const one = services.get(id)?.config;
  if (one && !hasPort(id, one)) return `${id} has no port, so ${written} has no value.`;
  if (self === undefined || reaches(services, self, id)) return undefined;
  if (self === id) return `${written} is ${self} itself; use \${port}.`;
  return `${self} uses ${written}, so it must start after ${id}: add "${id}" to its "dependsOn".`;
}

/** Whether `from` depends on `to`, near or far. */
function reaches(services: Services, from: string, to: string): boolean {
  const seen = new Set<string>();
  const pending = [from];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const next = seen.has(id) ? [] : (services.get(id)?.dependsOn ?? []);
    if (next.includes(to)) return true;
    seen.add(id);
    pending.push(...next);
  }
  return false;
}

/** Depth first, with a trail of its own rather than the stack, which a long chain could overflow. */
function checkCycles(services: Services, problems: Problems): void {
  const done = new Set<string>();
  for (const start of services.keys()) {
    const trail = [{ id: start, next: 0 }];
    for (let top = trail.at(-1); top; top = trail.at(-1)) {
      const index = top.next++;
      const other = services.get(top.id)?.dependsOn?.[index];
      if (other === undefined || done.has(top.id)) {
        done.add(top.id);
        trail.pop();
        continue;
      }
      const from = trail.findIndex(one => one.id === other);
      if (from < 0) {
        trail.push({ id: other, next: 0 });
        continue;
      }
      const cycle = [...trail.slice(from).map(one => one.id), other].join(' → ');
      problems.atValue(['services', top.id, 'dependsOn', index], `These services wait for each other: ${cycle}.`);
    }
  }
}
