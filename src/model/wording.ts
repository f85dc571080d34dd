import { isRunning, type ServiceSnapshot, type StateKind } from './service.ts';

/** How a state looks: a codicon, a theme colour for it, and a word. The editor's views and the command line share it. */
export interface StateLook {
  readonly icon: string;
  readonly color: string | undefined;
  readonly word: string;
}

const LOOKS: Readonly<Record<StateKind, StateLook>> = {
  stopped: { icon: 'circle-outline', color: undefined, word: 'stopped' },
  starting: { icon: 'sync~spin', color: undefined, word: 'starting' },
  healthy: { icon: 'pass-filled', color: 'testing.iconPassed', word: 'healthy' },
  unhealthy: { icon: 'warning', color: 'list.warningForeground', word: 'unhealthy' },
  stopping: { icon: 'sync~spin', color: undefined, word: 'stopping' },
  backingOff: { icon: 'history', color: 'list.warningForeground', word: 'waiting to restart' },
  failed: { icon: 'error', color: 'list.errorForeground', word: 'failed' },
};

export const lookOf = (service: Pick<ServiceSnapshot, 'state'>): StateLook => LOOKS[service.state.kind];

/** The state in words, with its reason where there is one. */
export function stateText(service: ServiceSnapshot, now: number): string {
  const { state } = service;
  const { word } = lookOf(service);
  switch (state.kind) {
    case 'unhealthy':
      return `${word}: ${state.reason}`;
    case 'backingOff':
      return `${state.reason}; restart in ${formatDuration(Math.max(0, state.retryAt - now))}`;
    case 'failed':
      return `${word}: ${state.problem.message}`;
    case 'healthy':
      return service.external ? `${word} (was running before, not ours)` : word;
    default:
      return word;
  }
}

/** `:8023` once the port is known and the service is meant to run. */
export const portText = (service: ServiceSnapshot): string =>
  service.port !== undefined && isRunning(service.state) ? `:${service.port}` : '';

/** A duration as people say it, of milliseconds: `850 ms`, `12 s`, `3 min 5 s`, `2 h 7 min`, `4 d 1 h`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return joined(min, 'min', s % 60, 's');
  const h = Math.floor(min / 60);
  return h < 24 ? joined(h, 'h', min % 60, 'min') : joined(Math.floor(h / 24), 'd', h % 24, 'h');
}

/** A latency as people say it, of milliseconds: `0.7 ms`, `12 ms`, `1.5 s`. */
export function formatLatency(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

const joined = (big: number, bigUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;

/** How a service and its replicas are, in few words: "3 healthy", or "2 healthy, 1 starting". Empty for one alone. */
export function groupText(members: readonly Pick<ServiceSnapshot, 'state'>[]): string {
  if (members.length < 2) return '';
  const counts = new Map<string, number>();
  for (const member of members) {
    const { word } = lookOf(member);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].map(([word, count]) => `${count} ${word}`).join(', ');
}

/** One fact of a service, as a row of the tree and of the hover. */
export interface Fact {
  readonly name: 'url' | 'pid' | 'uptime' | 'restarts' | 'lastExit' | 'note' | 'problem';
  readonly label: string;
  readonly value: string;
}

export function factsOf(service: ServiceSnapshot, now: number): Fact[] {
  const facts: Fact[] = [];
  const add = (name: Fact['name'], label: string, value: string | undefined): void => {
    if (value !== undefined) facts.push({ name, label, value });
  };
  const { state } = service;
  if (state.kind === 'failed') add('problem', 'Problem', state.problem.message);
  add('url', 'URL', service.url);
  add('pid', 'PID', service.pid?.toString());
  const { startedAt } = service;
  if (startedAt !== undefined) {
    add('uptime', 'Uptime', `${formatDuration(now - startedAt)} (since ${new Date(startedAt).toLocaleTimeString()})`);
  }
  add('restarts', 'Restarts', String(service.restarts));
  const exit = service.lastExit;
  if (exit) {
    const how = exit.signal ? `signal ${exit.signal}` : `code ${exit.code ?? 'unknown'}`;
    add('lastExit', 'Last exit', `${how}, ${formatDuration(now - exit.at)} ago`);
  }
  add('note', 'Note', service.note);
  return facts;
}
