import type { EnvVariable } from './env-file.ts';
import { ORIGINS_VARIABLE } from './origins.ts';
import type { PlannedService } from './plan.ts';
import { LOOPBACK, POSTGRES_DEFAULTS, POSTGRES_PORT } from './defaults.ts';
import { variablesOf } from './variables.ts';

/** Where a variable's value comes from, the strongest first. */
export type EnvSource =
  /** HELIX gave it: a port, or what follows from one. */
  | { readonly kind: 'allocated' }
  /** A literal of the configuration, or of what was detected. */
  | { readonly kind: 'configuration' }
  /** Set before HELIX started the service. */
  | { readonly kind: 'process' }
  | { readonly kind: 'envFile'; readonly line: number }
  /** What the service takes when nobody says anything. */
  | { readonly kind: 'default' };

export interface EffectiveVariable {
  readonly name: string;
  /** Secrets are masked already. */
  readonly value: string;
  readonly source: EnvSource;
}

export interface EffectiveInput {
  readonly service: Pick<PlannedService, 'id' | 'kind' | 'host'>;
  /** The service's variables as the plan has them. */
  readonly templates: Readonly<Record<string, string>>;
  /** The same as the service gets them; ports that are not known yet in words. */
  readonly filled: Readonly<Record<string, string>>;
  readonly process: Readonly<Record<string, string | undefined>>;
  readonly envFile: readonly EnvVariable[];
}

/** Every variable of a service by the guide's priority: allocation, then process and `.env`, then defaults. */
export function effectiveEnvironment(input: EffectiveInput): readonly EffectiveVariable[] {
  const fromFile = new Map(input.envFile.map(variable => [variable.name, variable]));
  const found = new Map<string, EffectiveVariable>();
  const add = (name: string, value: string, source: EnvSource): void => {
    if (!found.has(name)) found.set(name, { name, value, source });
  };
  const outside = (name: string): EnvSource => {
    if (input.process[name] !== undefined) return { kind: 'process' };
    const variable = fromFile.get(name);
    return variable ? { kind: 'envFile', line: variable.line } : { kind: 'default' };
  };
  for (const [name, value] of Object.entries(input.filled)) add(name, value, sourceOf(name, input, outside));
  for (const [name, value] of Object.entries(input.process)) {
    if (value !== undefined) add(name, value, { kind: 'process' });
  }
  for (const { name, value, line } of fromFile.values()) add(name, value, { kind: 'envFile', line });
  for (const [name, value] of Object.entries(DEFAULTS)) add(name, value, { kind: 'default' });
  return masked([...found.values()]).sort(bySourceAndName);
}

/** What HELIX v2.0 takes for what nobody sets, and what the supervisor sets where nobody does. */
const DEFAULTS: Readonly<Record<string, string>> = {
  HELIX_ENV: 'development',
  LOG_LEVEL: 'INFO',
  PYTHONUNBUFFERED: '1',
  POSTGRES_HOST: POSTGRES_DEFAULTS.host,
  POSTGRES_PORT: String(POSTGRES_PORT),
  POSTGRES_DB: POSTGRES_DEFAULTS.database,
  POSTGRES_USER: POSTGRES_DEFAULTS.user,
};

/** Variables of the plan that only hand on what the user set elsewhere. */
function sourceOf(name: string, input: EffectiveInput, outside: (name: string) => EnvSource): EnvSource {
  const template = input.templates[name];
  const inside = template === undefined ? [] : variablesOf(template);
  if (name === ORIGINS_VARIABLE && input.service.id === 'api') return { kind: 'allocated' };
  if (name === 'API_HOST' && (template === undefined || template === '${host}')) {
    const source = outside('API_HOST');
    // An empty one says nothing.
    const said =
      source.kind === 'envFile' ? input.envFile.findLast(one => one.name === name)?.value : input.process[name];
    return said?.trim() || input.service.host !== LOOPBACK ? source : { kind: 'default' };
  }
  if (template === '${port:postgres}') return outside('POSTGRES_PORT');
  const handedOn = inside.length === 1 && inside[0]!.text === template ? inside[0]! : undefined;
  if (handedOn?.kind === 'env') return outside(handedOn.argument ?? '');
  return { kind: inside.some(one => one.kind === 'port' || one.kind === 'url') ? 'allocated' : 'configuration' };
}

const RANK: Readonly<Record<EnvSource['kind'], number>> = {
  allocated: 0,
  configuration: 1,
  envFile: 2,
  default: 3,
  process: 4,
};

/** What HELIX has to do with comes first, the rest of the process's environment last. */
const bySourceAndName = (a: EffectiveVariable, b: EffectiveVariable): number =>
  RANK[a.source.kind] - RANK[b.source.kind] || (a.name < b.name ? -1 : 1);

const SECRET_NAME =
  /KEY|SECRET|TOKEN|PASS|PWD.+|.+_PWD|CREDENTIAL|PRIVATE|AUTH|COOKIE|SESSION|SIGNATURE|SALT|LICEN[CS]E|WEBHOOK|(?:^|_)(?:PAT|DSN|JWT|OTP|PIN)(?:_|$)/i;
/** A password that is part of an address, or of its query; a web address has a token where others have a user alone. */
const SECRET_IN_URL =
  /(?<=[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)[^\s@]+(?=@)|(?<=https?:\/\/)[^\s/:@]+(?=@)|(?<=[?&;](?:password|passwd|pwd|token|key|secret)=)[^&;\s]+/gi;
/** Keys that tell by how they begin whose they are, whatever the variable's name. */
const KNOWN_KEY =
  /\b(?:[sr]k[-_](?=\w)|gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|npm_|hf_|AKIA|AIza|eyJ(?=[\w-]+\.))[\w.-]{12,}/g;
const MASK = '********';
/** Shorter ones would be found in what is no secret at all. */
const SHORTEST_SECRET = 6;

/** Secrets are known by their names, by their place in an address, and then wherever else the same text stands. */
function masked(variables: readonly EffectiveVariable[]): EffectiveVariable[] {
  const secrets = variables
    .filter(one => SECRET_NAME.test(one.name) && one.value.length >= SHORTEST_SECRET)
    .map(one => one.value)
    .sort((a, b) => b.length - a.length);
  return variables.map(variable => {
    const { name, value } = variable;
    if (SECRET_NAME.test(name)) return { ...variable, value: value === '' ? '' : MASK };
    const open = secrets.reduce((text, secret) => text.replaceAll(secret, MASK), value);
    return { ...variable, value: open.replace(SECRET_IN_URL, MASK).replace(KNOWN_KEY, MASK) };
  });
}

export function sourceText({ source }: EffectiveVariable): string {
  switch (source.kind) {
    case 'allocated':
      return 'allocated';
    case 'configuration':
      return 'configuration';
    case 'process':
      return 'process';
    case 'envFile':
      return `.env line ${source.line}`;
    case 'default':
      return 'default';
  }
}

/** Values longer than this do not push the sources of all the others to the right. */
const WIDEST = 60;

/** One line a variable: `NAME=value  # source`, the sources in one column. */
export function effectiveText(variables: readonly EffectiveVariable[]): string {
  const lines = variables.map(one => ({ text: `${one.name}=${oneLine(one.value)}`, source: sourceText(one) }));
  const width = Math.min(WIDEST, Math.max(0, ...lines.map(line => line.text.length)));
  return lines.map(line => `${line.text.padEnd(width)}  # ${line.source}`).join('\n');
}

/** Control characters neither break the line nor steer the terminal. */
const oneLine = (value: string): string =>
  value.replace(/[\0-\x1f\x7f-\x9f]/g, char => JSON.stringify(char).slice(1, -1));
