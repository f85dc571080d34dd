import { appendFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'node:util';
import { runMocha, testFiles } from './mocha-runner.ts';

/** What a host suite is told, through the environment of the extension host. */
export interface HostEnv {
  /** The folder below `test/host` whose tests are to run. */
  readonly HELIX_HOST_LABEL: string;
  /** The file for the counts. */
  readonly HELIX_HOST_COUNTS: string;
  /** The file for what tests write, where the console is not seen by who started us. */
  readonly HELIX_HOST_OUTPUT?: string;
}

/** The entry that VS Code calls in its extension host, as `extensionTestsPath`. */
export async function run(): Promise<void> {
  const { HELIX_HOST_LABEL: label, HELIX_HOST_COUNTS: countsFile, HELIX_HOST_OUTPUT: outputFile } = process.env;
  if (!label || !countsFile)
    throw new Error('HELIX_HOST_LABEL and HELIX_HOST_COUNTS are not set: start with npm test.');
  if (outputFile) redirectConsole(outputFile);
  const counts = await runMocha(await testFiles(join(__dirname, '../host', label)));
  await writeFile(countsFile, JSON.stringify(counts));
  if (counts.failed) throw new Error(`${counts.failed} failed`);
}

// The host's console also reaches the page, but there it is one stream with all that VS Code itself has to say.
// VS Code guards its methods against being replaced, so the object is.
function redirectConsole(file: string): void {
  const value = (...args: unknown[]): void => appendFileSync(file, `${format(...args)}\n`);
  const methods = ['log', 'info', 'warn', 'error', 'debug'].map(name => [name, { value }] as const);
  globalThis.console = Object.create(console, Object.fromEntries(methods)) as Console;
}
