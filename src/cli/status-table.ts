import { isRunning, type ServiceSnapshot, type StackSnapshot } from '../model/service.ts';

/** `NAME  STATE  URL-or-port`, two spaces between: what `npm start` and `start` print for each service. */
export function statusLine(service: ServiceSnapshot): string {
  const where = service.url ?? (service.port === undefined || !isRunning(service.state) ? '-' : String(service.port));
  return `${service.id}  ${service.state.kind}  ${where}`;
}

/** All services as a table with aligned columns, for people. */
export function statusTable(stack: StackSnapshot): string {
  const rows = stack.services.map(service => [
    service.id,
    service.state.kind,
    service.url ?? (service.port !== undefined && isRunning(service.state) ? String(service.port) : '-'),
    service.pid === undefined ? '-' : String(service.pid),
    String(service.restarts),
  ]);
  return tableOf([['SERVICE', 'STATE', 'WHERE', 'PID', 'RESTARTS'], ...rows]);
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
