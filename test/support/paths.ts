import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The root of the repository, wherever below it this is bundled into. */
export const repoRoot = rootAbove(__dirname);

/** Where the build puts the compiled tests, and the runners their results. */
export const outDir = join(repoRoot, 'out');

export const screenshotsDir = join(outDir, 'screenshots');

/** Downloads are kept here; `HELIX_VSCODE_CACHE` shares them between clones. */
export const cacheDir = (): string => resolve(process.env['HELIX_VSCODE_CACHE'] ?? join(repoRoot, '.vscode-test'));

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder));
}
