import { endProcessGroup, identify } from '../../../src/run/processes.ts';

/** Tells itself and its group to end, and says what came of it. Nobody else may be in its group, or a child of it. */
async function main(): Promise<void> {
  const leader = (await identify(process.pid))!;
  process.stdout.write(await endProcessGroup({ leader, steps: [{ signal: 'SIGTERM', waitMs: 0 }] }));
}

void main();
