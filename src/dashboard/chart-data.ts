import type { HealthCheck, RestartMark } from '../model/health-history.ts';

/** Times in seconds; then for each of them latency, failures and restarts so far. `undefined`: nothing at this time. */
export type ChartData = [
  times: number[],
  latency: (number | null | undefined)[],
  failures: (number | null | undefined)[],
  restarts: (number | null | undefined)[],
];

interface Point {
  readonly at: number;
  readonly check?: HealthCheck;
}

/**
 * What a chart of the time from `from` to `to` (milliseconds) shows. A check that failed leaves a gap in the line and a
 * mark at its foot; restarts are counted from the beginning of the session.
 */
export function chartData(
  checks: readonly HealthCheck[],
  restarts: readonly RestartMark[],
  { from, to }: { readonly from: number; readonly to: number },
): ChartData {
  const times = restarts.map(restart => restart.at);
  const points: Point[] = [
    { at: from },
    ...checks.map(check => ({ at: check.at, check })),
    ...times.map(at => ({ at })),
    { at: to },
  ]
    .filter(({ at }) => at >= from && at <= to)
    .sort((a, b) => a.at - b.at);
  const data: ChartData = [[], [], [], []];
  let restarted = 0;
  for (const { at, check } of points) {
    while (restarted < times.length && times[restarted]! <= at) restarted++;
    data[0].push(at / 1000);
    data[1].push(check ? (check.outcome === 'ok' ? check.latencyMs : null) : undefined);
    data[2].push(check && check.outcome !== 'ok' ? 0 : null);
    data[3].push(restarted);
  }
  return data;
}
