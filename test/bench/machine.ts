import { cpus, loadavg, release, totalmem } from 'node:os';

/** Where the figures come from. */
export function describeMachine(): string {
  const processors = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return (
    `${processors.length} × ${processors[0]?.model.trim() ?? 'CPU'}, ${gigabytes} GB, ` +
    `${process.platform} ${release()} ${process.arch}, Node ${process.versions.node}`
  );
}

/** How busy the machine was in the last minute: processes that ran or wanted to. Always 0 on Windows. */
export const describeLoad = (): string => loadavg()[0]!.toFixed(1);
