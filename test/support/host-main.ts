import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runHostSuite } from './host.ts';
import { runMain, writeCounts, type Counts } from './mocha-runner.ts';
import { outDir } from './paths.ts';
import { vscodeVersions, type VscodeVersion } from './vscode.ts';

/** `host [newest|floor] [labels]`: all labels on both versions by default. */
runMain(async () => {
  const words = process.argv.slice(2);
  const versions = vscodeVersions.filter(version => words.includes(version));
  const labels = (await hostLabels()).filter(label => !words.some(isLabel) || words.includes(label));
  const unknown = words.filter(isLabel).filter(word => !labels.includes(word));
  if (unknown.length) throw new Error(`There is no suite test/host/${unknown.join(', ')}.`);
  const all: Counts[] = [];
  for (const version of versions.length ? versions : vscodeVersions) {
    for (const label of labels) all.push(await runOne(label, version));
  }
  const sum = (key: keyof Counts): number => all.reduce((total, counts) => total + counts[key], 0);
  await writeCounts('host', { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') });
  return sum('failed') ? 1 : 0;
});

const isLabel = (word: string): boolean => !vscodeVersions.some(version => version === word);

async function hostLabels(): Promise<string[]> {
  const entries = await readdir(join(outDir, 'test/host'), { withFileTypes: true }).catch(() => []);
  return entries
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
    .sort();
}

/** A suite that breaks down counts as one failure, and the others still run. */
async function runOne(label: string, version: VscodeVersion): Promise<Counts> {
  console.log(`\n--- ${label} on VS Code ${version}`);
  try {
    // The suite named so is about a workspace that the user has not trusted.
    return await runHostSuite({ label, version, trusted: label !== 'untrusted' });
  } catch (error) {
    console.error(error);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}
