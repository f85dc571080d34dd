import { cp, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { repoRoot } from '../support/paths.ts';
import type { Scope } from './scope.ts';

/** What a package holds, built into a folder of our own: nobody's build changes it while it is measured. */
export interface ProductionBuild {
  /** The folder of the extension: its manifest, `dist` and `media`. */
  readonly folder: string;
  readonly dist: string;
}

const COPIED = ['package.json', 'package.nls.json', 'media', 'esbuild.mjs'];
const LINKED = ['src', 'node_modules'];

/** `node esbuild.mjs --production` on this source. */
export async function productionBuild(scope: Scope): Promise<ProductionBuild> {
  const folder = join(await scope.folder('build'), 'extension');
  await mkdir(folder);
  for (const name of COPIED) await cp(join(repoRoot, name), join(folder, name), { recursive: true });
  for (const name of LINKED) await symlink(join(repoRoot, name), join(folder, name), 'junction');
  await execa(process.execPath, ['esbuild.mjs', '--production'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return { folder, dist: join(folder, 'dist') };
}
