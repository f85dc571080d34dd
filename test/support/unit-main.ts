import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runMain, runMocha, testFiles, writeCounts } from './mocha-runner.ts';
import { outDir } from './paths.ts';

runMain(async () => {
  // For what has no state folder of its own: the user's is none of the suite's business.
  const home = await mkdtemp(join(tmpdir(), 'helix-unit-'));
  process.env['HELIX_PORTS_HOME'] = home;
  try {
    const counts = await runMocha(await testFiles(join(outDir, 'test/unit')), { timeout: 20_000 });
    await writeCounts('unit', counts);
    return counts.failed ? 1 : 0;
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
});
