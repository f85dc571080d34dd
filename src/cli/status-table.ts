import { isRunning, type ServiceSnapshot, type StackSnapshot } from '../model/service.ts';
import { formatDuration } from '../model/wording.ts';

/** `NAME  STATE  URL-or-port`, two spaces between: what `npm start` and `start` print for each service. */
export function statusLine(service: ServiceSnapshot): string {
  const where = service.url ?? (service.port === undefined || !isRunning(service.state) ? '-' : String(service.port));
  return `${service.id}  ${service.state.kind}  ${where}`;
}

/** A row for each service, `-` for what it does not have. */
export interface StatusTable {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export const URL_COLUMN = 'URL';
export const STATE_COLUMN = 'STATE';
const HEADER = ['SERVICE', STATE_COLUMN, 'PORT', URL_COLUMN, 'PID', 'UPTIME', 'RESTARTS'];

export function statusRows({ services }: StackSnapshot, now: number): StatusTable {
  return { header: HEADER, rows: services.map(service => cellsOf(service, now)) };
}

function cellsOf(service: ServiceSnapshot, now: number): readonly string[] {
  const { id, state, port, url, pid, startedAt, restarts } = service;
  return [
    id,
    state.kind,
    port !== undefined && isRunning(state) ? String(port) : '-',
    url ?? '-',
    pid === undefined ? '-' : String(pid),
    // Clocks can be set back.
    startedAt === undefined ? '-' : formatDuration(Math.max(0, now - startedAt)),
    String(restarts),
  ];
}

/** All services as a table with aligned columns, for people. */
export function statusTable(stack: StackSnapshot, now: number): string {
  const { header, rows } = statusRows(stack, now);
  return tableOf([header, ...rows]);
}

/** What a pipe is told of a service: the table's cells without the uptime, which passes without any news. */
export function changeLine(service: ServiceSnapshot): string {
  return cellsOf(service, 0)
    .filter((_, column) => HEADER[column] !== 'UPTIME')
    .join('  ');
}

/** Columns as wide as their widest cell, two spaces between. */
export function tableOf(all: readonly (readonly string[])[]): string {
  const widths = all[0]!.map((_, column) => Math.max(...all.map(row => row[column]!.length)));
  return all
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The shape of `status --json`. */
export function statusJson(stack: StackSnapshot): object {
  return {
    workspace: stack.workspace,
    services: stack.services.map(service => ({
      id: service.id,
      state: service.state.kind,
      port: isRunning(service.state) ? (service.port ?? null) : null,
      url: service.url ?? null,
      pid: service.pid ?? null,
      restarts: service.restarts,
    })),
  };
}
