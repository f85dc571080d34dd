import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { outDir } from './paths.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface MochaOptions {
  readonly timeout?: number;
  /** Called after each failed test with its full title, while all that it used is still there. */
  readonly onFailure?: (title: string) => Promise<void>;
}

/** Runs test files in this process and shows each test as it ends. */
export async function runMocha(files: readonly string[], options: MochaOptions = {}): Promise<Counts> {
  process.setSourceMapsEnabled(true);
  // mocha is an ES module, which this CommonJS bundle can only import.
  const { default: Mocha } = await import('mocha');
  const mocha = new Mocha({
    timeout: options.timeout ?? 60_000,
    color: colourful(),
    rootHooks: {
      async afterEach(this: Mocha.Context) {
        if (this.currentTest?.state === 'failed') await options.onFailure?.(this.currentTest.fullTitle());
      },
    },
  });
  for (const file of files) mocha.addFile(file);
  return new Promise((resolve, reject) => {
    try {
      const runner = mocha.run(failed => {
        resolve({ passed: runner.stats?.passes ?? 0, failed, skipped: runner.stats?.pending ?? 0 });
      });
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

export const colourful = (): boolean => process.env['FORCE_COLOR'] !== undefined || process.stdout.isTTY;

/** All compiled tests below a folder, in a fixed order. */
export async function testFiles(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true }).catch(() => []);
  return found
    .filter(file => file.endsWith('.test.cjs'))
    .sort()
    .map(file => join(folder, file));
}

/** Leaves the counts of a suite where `run.mjs` sums them up. */
export async function writeCounts(suite: string, counts: Counts): Promise<void> {
  const file = join(outDir, 'results', `${suite}.json`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(counts));
}

/** Runs a program's `main` and ends the process with its answer; a failure is shown with all it tells. */
export function runMain(main: () => Promise<number>): void {
  // A process that dies of a signal runs no exit handlers, and those end the servers and browsers which it started.
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
    process.once(signal, () => process.exit(code));
  }
  main().then(
    code => process.exit(code),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}
