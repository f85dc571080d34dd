import { execFile } from 'node:child_process';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findNginx } from '../../src/proxy/nginx-binary.ts';
import { outDir } from './paths.ts';

const run = promisify(execFile);
let found: Promise<string | { readonly missing: string }> | undefined;

/** The machine's nginx, or Debian's, unpacked beside the compiled tests without installing it; else why there is none. */
export const nginxForTests = (): Promise<string | { readonly missing: string }> => (found ??= look());

async function look(): Promise<string | { readonly missing: string }> {
  if (process.platform === 'win32') return { missing: 'nginx is not an engine on Windows' };
  const unpacked = join(outDir, 'nginx', 'usr', 'sbin', 'nginx');
  const works = (program: string): Promise<boolean> =>
    run(program, ['-v']).then(
      () => true,
      () => false,
    );
  const installed = await findNginx('').catch(() => undefined);
  if (installed !== undefined) return installed;
  if (await works(unpacked)) return unpacked;
  const folder = join(outDir, `nginx-${process.pid}`);
  try {
    await mkdir(folder, { recursive: true });
    await run('apt-get', ['download', 'nginx'], { cwd: folder, timeout: 60_000 });
    const [file] = (await readdir(folder)).filter(name => name.endsWith('.deb'));
    await run('dpkg-deb', ['-x', join(folder, file!), folder]);
    if (!(await works(join(folder, 'usr', 'sbin', 'nginx'))))
      return { missing: 'the nginx of the package does not run here' };
    await rename(folder, join(outDir, 'nginx')).catch(() => undefined);
    return (await works(unpacked)) ? unpacked : { missing: 'nginx could not be unpacked' };
  } catch (error) {
    return { missing: `no nginx, and none to be had: ${String(error).split('\n')[0]}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
