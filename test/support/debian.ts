import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

const LIMIT_MS = 180_000;

/**
 * Downloads packages of Debian and unpacks them to a folder rather than installing them: the machine is left alone.
 * With `needed` also those of the packages they depend on whose names match.
 */
export async function unpackDebian(folder: string, packages: readonly string[], needed?: RegExp): Promise<void> {
  const apt = join(folder, '.apt');
  await mkdir(join(apt, 'state/lists/partial'), { recursive: true });
  await mkdir(join(apt, 'cache/archives/partial'), { recursive: true });
  await mkdir(join(apt, 'debs'));
  const options = [
    `Dir::State=${apt}/state`,
    'Dir::State::status=/var/lib/dpkg/status',
    `Dir::Cache=${apt}/cache`,
    'APT::Sandbox::User=root',
    'Acquire::Retries=2',
  ].flatMap(option => ['-o', option]);
  await run('apt-get', [...options, '-q', 'update']);
  const names = needed ? await dependenciesOf(packages, needed, options) : packages;
  await run('apt-get', [...options, '-q', 'download', ...names], join(apt, 'debs'));
  for (const deb of await readdir(join(apt, 'debs'))) await run('dpkg-deb', ['-x', join(apt, 'debs', deb), folder]);
  await rm(apt, { recursive: true });
}

async function dependenciesOf(
  packages: readonly string[],
  needed: RegExp,
  options: readonly string[],
): Promise<readonly string[]> {
  const kinds = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(kind => `--no-${kind}`);
  const found = await run('apt-cache', [...options, 'depends', '--recurse', ...kinds, ...packages]);
  return [...new Set(found.split('\n').filter(line => needed.test(line)))];
}

async function run(program: string, args: readonly string[], cwd?: string): Promise<string> {
  const result = await execa(program, args, { ...(cwd ? { cwd } : {}), stdin: 'ignore', timeout: LIMIT_MS });
  return result.stdout;
}
