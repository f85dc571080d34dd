import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { downloadAndUnzipVSCode, runTests } from '@vscode/test-electron';
import type { HostEnv } from './host-index.ts';
import { fixtureCopy, workspaceFileIn } from './host.ts';
import { runMain, type Counts } from './mocha-runner.ts';
import { cacheDir, outDir, repoRoot } from './paths.ts';

/** `electron [version]`: the host suites in the desktop VS Code, for machines that can download it and have a display. */
runMain(async () => {
  const version = process.argv[2] ?? 'stable';
  const executable = await download(version);
  let failed = 0;
  for (const label of await readdir(join(outDir, 'test/host'))) {
    console.log(`\n--- ${label} on the desktop VS Code ${version}`);
    failed += (await runDesktopSuite(executable, label)).failed;
  }
  return failed ? 1 : 0;
});

async function download(version: string): Promise<string> {
  try {
    return await downloadAndUnzipVSCode({ version, cachePath: cacheDir() });
  } catch (error) {
    throw new Error(
      'The desktop VS Code could not be downloaded from update.code.visualstudio.com. ' +
        'Run "npm test" instead: it runs the same suites in the VS Code that comes from the npm registry.',
      { cause: error },
    );
  }
}

async function runDesktopSuite(executable: string, label: string): Promise<Counts> {
  const workspace = await fixtureCopy(label);
  const scratch = await mkdtemp(join(tmpdir(), 'helix-electron-'));
  const countsFile = join(scratch, 'counts.json');
  const env: HostEnv = { HELIX_HOST_LABEL: label, HELIX_HOST_COUNTS: countsFile };
  const trust = label === 'untrusted' ? [] : ['--disable-workspace-trust'];
  try {
    await runTests({
      vscodeExecutablePath: executable,
      extensionDevelopmentPath: repoRoot,
      extensionTestsPath: join(outDir, 'test/support/host-index.cjs'),
      extensionTestsEnv: { ...env },
      launchArgs: [
        (await workspaceFileIn(workspace.folder)) ?? workspace.folder,
        ...['--disable-extensions', `--user-data-dir=${join(scratch, 'user')}`, ...trust],
      ],
    }).catch((error: unknown) => console.error(error));
    return await readFile(countsFile, 'utf8').then(
      text => JSON.parse(text) as Counts,
      () => ({ passed: 0, failed: 1, skipped: 0 }),
    );
  } finally {
    await workspace.dispose();
    await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
  }
}
