import { EXIT } from './context.ts';

/** Resolves at Ctrl-C, and ends the process once whoever waited for that is done. */
export function untilInterrupted(): Promise<number> {
  // Something must keep the process up; the signal ends it.
  const alive = setInterval(() => undefined, 1 << 30);
  return new Promise(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        clearInterval(alive);
        resolve(EXIT.interrupted);
        setImmediate(() => process.exit(EXIT.interrupted));
      });
    }
  });
}
