import { join } from 'node:path';
import { runMain, runMocha, testFiles, writeCounts } from './mocha-runner.ts';
import { outDir } from './paths.ts';

runMain(async () => {
  const counts = await runMocha(await testFiles(join(outDir, 'test/unit')), { timeout: 20_000 });
  await writeCounts('unit', counts);
  return counts.failed ? 1 : 0;
});
