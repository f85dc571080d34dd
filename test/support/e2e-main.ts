import { join, relative } from 'node:path';
import { runMain, runMocha, testFiles, writeCounts } from './mocha-runner.ts';
import { outDir, screenshotsDir } from './paths.ts';
import { Workbench } from './workbench.ts';

/** `e2e [words]`: only files whose path holds one of the words. */
runMain(async () => {
  const words = process.argv.slice(2);
  const all = await testFiles(join(outDir, 'test/e2e'));
  const files = words.length ? all.filter(file => words.some(word => file.includes(word))) : all;
  const counts = await runMocha(files, { timeout: 300_000, onFailure: takeScreenshots });
  await writeCounts('e2e', counts);
  return counts.failed ? 1 : 0;
});

async function takeScreenshots(title: string): Promise<void> {
  let number = 0;
  for (const workbench of Workbench.opened) {
    const name = `${title.replace(/[^\w]+/g, '-').slice(0, 100)}${number++ ? `-${number}` : ''}.png`;
    const file = join(screenshotsDir, name);
    await workbench.screenshot(file).then(
      () => console.log(`      screenshot: ${relative(process.cwd(), file)}`),
      (error: unknown) => console.log(`      no screenshot: ${String(error)}`),
    );
  }
}
