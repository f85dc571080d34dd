import { claimWhenFree } from '../../../src/run/claim.ts';

/** Waits for its turn to hold `process.argv[3]` in the folder `process.argv[2]`, says so, and keeps it until it is killed. */
async function main(): Promise<void> {
  const [, , dir, name] = process.argv;
  process.stdout.write('waiting\n');
  await claimWhenFree(dir!, name!);
  process.stdout.write('held\n');
  setInterval(() => undefined, 1_000);
}

void main();
