import type { ServiceId } from './service.ts';

/** `refused`: nobody listens. `silent`: somebody does and does not answer. `wrong`: another answer than expected. */
export type CheckOutcome = 'ok' | 'refused' | 'silent' | 'wrong';

/** One look at a service. Plain data: it travels over the control channel. */
export interface HealthCheck {
  /** When it began, milliseconds since the epoch. */
  readonly at: number;
  /** How long the answer took, or how long none was waited for; milliseconds. */
  readonly latencyMs: number;
  readonly outcome: CheckOutcome;
  /** Why it is not ok. */
  readonly reason?: string;
  readonly port: number;
}

export interface RestartMark {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly reason: string;
}

/** A service's checks since its supervisor began, oldest first. */
export interface HealthHistory {
  readonly checks: readonly HealthCheck[];
  readonly restarts: readonly RestartMark[];
  /** So many older checks are no longer kept, or were not asked for. */
  readonly dropped: number;
}

export const EMPTY_HISTORY: HealthHistory = { checks: [], restarts: [], dropped: 0 };

export interface ServiceHistory extends HealthHistory {
  readonly id: ServiceId;
}

const COLUMNS = ['service', 'time', 'latencyMs', 'outcome', 'port', 'reason'] as const;

/** All checks in the order of time, one a line, with a header (RFC 4180). Times are ISO 8601 in UTC. */
export function historyCsv(services: readonly ServiceHistory[]): string {
  const rows = services
    .flatMap(({ id, checks }) => checks.map(check => ({ id, check })))
    .sort((a, b) => a.check.at - b.check.at)
    .map(({ id, check }) => [
      id,
      new Date(check.at).toISOString(),
      rounded(check.latencyMs),
      check.outcome,
      check.port,
      check.reason ?? '',
    ]);
  return [COLUMNS, ...rows].map(row => `${row.map(cell).join(',')}\r\n`).join('');
}

/** The same with the restarts, as `{ workspace, services: [{ id, dropped, checks, restarts }] }`. */
export function historyJson(workspace: string, services: readonly ServiceHistory[]): string {
  const time = (at: number): string => new Date(at).toISOString();
  return JSON.stringify(
    {
      workspace,
      services: services.map(({ id, checks, restarts, dropped }) => ({
        id,
        dropped,
        checks: checks.map(({ at, latencyMs, ...rest }) => ({
          time: time(at),
          latencyMs: rounded(latencyMs),
          ...rest,
        })),
        restarts: restarts.map(({ at, reason }) => ({ time: time(at), reason })),
      })),
    },
    undefined,
    2,
  );
}

/** To the microsecond, which is more than the clock behind it can tell apart. */
const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;

/** A leading `=`, `+`, `-` or `@` would be a formula to a spreadsheet, and reasons hold other programs' words. */
function cell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The latencies that people ask for, of the checks that were answered; undefined when none was. */
export interface LatencySummary {
  readonly lastMs: number;
  readonly medianMs: number;
  readonly worstMs: number;
  readonly answered: number;
  readonly failed: number;
}

export function summaryOf(checks: readonly HealthCheck[]): LatencySummary | undefined {
  const answered = checks.filter(check => check.outcome === 'ok').map(check => check.latencyMs);
  if (answered.length === 0) return undefined;
  const sorted = [...answered].sort((a, b) => a - b);
  return {
    lastMs: answered.at(-1)!,
    medianMs: sorted[Math.floor((sorted.length - 1) / 2)]!,
    worstMs: sorted.at(-1)!,
    answered: answered.length,
    failed: checks.length - answered.length,
  };
}
