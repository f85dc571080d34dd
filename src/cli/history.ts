import { historyCsv, historyJson, type ServiceHistory, summaryOf } from '../model/health-history.ts';
import { formatLatency } from '../model/wording.ts';
import { type CliContext, EXIT, UsageError } from './context.ts';
import { backgroundLauncher, openStack } from './open-stack.ts';
import { serviceOf } from './stack-commands.ts';
import { tableOf } from './status-table.ts';

/** The health checks of the session: every one as JSON or CSV, or how they were in a table. */
export async function history(context: CliContext): Promise<number> {
  const { json, csv } = context.options;
  if (json && csv) throw new UsageError('history: --json or --csv, not both');
  const stack = await openStack(context, { keep: false, launcher: backgroundLauncher });
  try {
    const [word] = context.words;
    const wanted = word === undefined ? undefined : serviceOf(stack, word).id;
    const all = (await stack.histories()).filter(one => wanted === undefined || one.id === wanted);
    if (json) context.out(historyJson(stack.plan.workspace, all));
    else if (csv) context.out(historyCsv(all).trimEnd());
    else context.out(historyTable(all));
  } finally {
    stack.dispose();
  }
  return EXIT.ok;
}

/** A service that opens no port is watched as a process and has no checks. */
function historyTable(services: readonly ServiceHistory[]): string {
  const rows = services.map(({ id, checks, dropped, restarts }) => {
    const summary = summaryOf(checks);
    const latency = (ms: number | undefined): string => (ms === undefined ? '-' : formatLatency(ms));
    const failed = checks.filter(check => check.outcome !== 'ok').length;
    return [
      id,
      String(checks.length + dropped),
      String(failed),
      latency(summary?.lastMs),
      latency(summary?.medianMs),
      latency(summary?.worstMs),
      String(restarts.length),
    ];
  });
  return tableOf([['SERVICE', 'CHECKS', 'FAILED', 'LAST', 'MEDIAN', 'WORST', 'RESTARTS'], ...rows]);
}
