/** Upper bounds in seconds, as the Prometheus clients have them by default, with two finer ones for loopback. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
/** Clients make methods up; each would be a series for ever. */
const OTHER = METHODS.length;
/** By first digit; 0 stands for those that got no answer. */
const CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

export interface UpstreamFigures {
  readonly key: string;
  readonly state: 'up' | 'out' | 'draining';
  readonly inFlight: number;
}

export interface CurrentFigures {
  readonly connections: number;
  readonly held: number;
  readonly heldBytes: number;
  readonly tunnels: number;
  readonly upstreams: readonly UpstreamFigures[];
}

/** Counters of one proxy, and their Prometheus text (exposition format 0.0.4). */
export class Metrics {
  private readonly requests = Array.from({ length: (METHODS.length + 1) * CLASSES.length }, () => 0);
  private readonly buckets = Array.from({ length: BUCKETS.length + 1 }, () => 0);
  private seconds = 0;
  private readonly refusals = new Map<string, number>();
  inFlight = 0;
  retries = 0;
  heldTotal = 0;

  /** A request is over: its status, or 0 where it was cut off before it had one, and how long it took. */
  finished(method: string, status: number, ms: number): void {
    const row = METHODS.indexOf(method as (typeof METHODS)[number]);
    const column = Math.floor(status / 100);
    this.requests[(row < 0 ? OTHER : row) * CLASSES.length + (column < CLASSES.length ? column : 0)]!++;
    const seconds = ms / 1000;
    this.seconds += seconds;
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > BUCKETS[bucket]!) bucket++;
    this.buckets[bucket]!++;
  }

  /** A request or connection that never was passed on. */
  refused(reason: string): void {
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1);
  }

  text(now: CurrentFigures): string {
    return [
      ...this.requestText(),
      ...this.durationText(),
      ...series('helix_proxy_refused_total', 'counter', 'Requests that the proxy itself refused.', [
        ...[...this.refusals].map(([reason, count]): Sample => [{ reason }, count]),
      ]),
      ...series('helix_proxy_requests_in_flight', 'gauge', 'Requests without a complete answer yet.', [
        [{}, this.inFlight],
      ]),
      ...series('helix_proxy_requests_held', 'gauge', 'Requests that wait for an upstream.', [[{}, now.held]]),
      ...series('helix_proxy_held_bytes', 'gauge', 'What the waiting requests keep in memory.', [[{}, now.heldBytes]]),
      ...series('helix_proxy_held_total', 'counter', 'Requests that had to wait for an upstream.', [
        [{}, this.heldTotal],
      ]),
      ...series('helix_proxy_retries_total', 'counter', 'Attempts repeated because nothing had come back.', [
        [{}, this.retries],
      ]),
      ...series('helix_proxy_connections', 'gauge', 'Client connections.', [[{}, now.connections]]),
      ...series('helix_proxy_tunnels', 'gauge', 'Open WebSocket connections.', [[{}, now.tunnels]]),
      ...upstreamText(now.upstreams),
      ...processText(),
      '',
    ].join('\n');
  }

  private requestText(): string[] {
    const samples: Sample[] = [];
    this.requests.forEach((count, index) => {
      if (count === 0) return;
      const method = METHODS[Math.floor(index / CLASSES.length)] ?? 'OTHER';
      samples.push([{ method, code: CLASSES[index % CLASSES.length]! }, count]);
    });
    return series(
      'helix_proxy_requests_total',
      'counter',
      'Requests answered, by method and class of status.',
      samples,
    );
  }

  private durationText(): string[] {
    const name = 'helix_proxy_request_duration_seconds';
    let below = 0;
    const buckets = this.buckets.map((count, index): string => {
      below += count;
      return `${name}_bucket{le="${BUCKETS[index] ?? '+Inf'}"} ${below}`;
    });
    return [
      `# HELP ${name} From the end of a request's head to the end of its answer.`,
      `# TYPE ${name} histogram`,
      ...buckets,
      `${name}_sum ${this.seconds}`,
      `${name}_count ${below}`,
    ];
  }
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** The lines of one metric. Label values are escaped as the format says. */
export function series(name: string, type: 'counter' | 'gauge', help: string, samples: readonly Sample[]): string[] {
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${pairs.length ? `{${pairs.join(',')}}` : ''} ${value}`;
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines];
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function upstreamText(upstreams: readonly UpstreamFigures[]): string[] {
  const states = ['up', 'out', 'draining'] as const;
  return [
    ...series(
      'helix_proxy_upstream_state',
      'gauge',
      'One for the state that the upstream is in.',
      upstreams.flatMap(one =>
        states.map((state): Sample => [{ upstream: one.key, state }, one.state === state ? 1 : 0]),
      ),
    ),
    ...series(
      'helix_proxy_upstream_in_flight',
      'gauge',
      'Requests and streams that the upstream is answering.',
      upstreams.map((one): Sample => [{ upstream: one.key }, one.inFlight]),
    ),
  ];
}

function processText(): string[] {
  const { user, system } = process.cpuUsage();
  return [
    ...series('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', [
      [{}, process.memoryUsage.rss()],
    ]),
    ...series('process_cpu_seconds_total', 'counter', 'User and system CPU time spent in seconds.', [
      [{}, (user + system) / 1e6],
    ]),
    ...series('process_start_time_seconds', 'gauge', 'Start time of the process since the epoch in seconds.', [
      [{}, Math.round(Date.now() / 1000 - process.uptime())],
    ]),
  ];
}
