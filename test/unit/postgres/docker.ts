import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ContainerEngine } from '../../../src/postgres/container-engine.ts';
import { containerName } from '../../../src/postgres/container.ts';
import { outDir } from '../../support/paths.ts';
import { type Cleanup, dist, repoRoot } from './harness.ts';

/** `stand-in-docker.ts` as a program, with its calls and its containers in a folder of its own. */
export class StandInDocker {
  private constructor(
    private readonly folder: string,
    readonly engine: ContainerEngine,
  ) {}

  static async make(cleanup: Cleanup): Promise<StandInDocker> {
    const folder = await cleanup.folder();
    const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
    const script = [
      '#!/bin/sh',
      `STAND_IN_FOLDER=${quoted(folder)} STAND_IN_POSTGRES=${quoted(join(dist, 'postgres.cjs'))} \\`,
      `STAND_IN_ROOT=${quoted(repoRoot)} exec ${quoted(process.execPath)} ${quoted(join(outDir, 'test/unit/postgres/stand-in-docker.cjs'))} "$@"`,
    ];
    const program = join(folder, 'docker');
    await writeFile(program, `${script.join('\n')}\n`, { mode: 0o755 });
    const docker = new StandInDocker(folder, new ContainerEngine(program));
    cleanup.add(() => docker.stopAll());
    return docker;
  }

  /** As if it had been fetched. */
  hasImage(): Promise<void> {
    return writeFile(join(this.folder, 'image'), '');
  }

  /** From now on it refuses these subcommands with these words. */
  refuses(faults: Readonly<Record<string, string>>): Promise<void> {
    return writeFile(join(this.folder, 'faults.json'), JSON.stringify(faults));
  }

  async calls(command: string): Promise<readonly (readonly string[])[]> {
    const calls = await this.everyCall();
    return calls.map(call => call.args).filter(args => args[0] === command);
  }

  async everyCall(): Promise<readonly { readonly args: readonly string[]; readonly password?: string }[]> {
    const text = await readFile(join(this.folder, 'calls.log'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as { args: string[]; password?: string });
  }

  output(port: number): Promise<string> {
    return readFile(join(this.folder, `${containerName(port)}.log`), 'utf8');
  }

  private async stopAll(): Promise<void> {
    await this.refuses({});
    for (const file of await readdir(this.folder)) {
      const name = /^(?<name>.*)\.container\.json$/.exec(file)?.groups?.['name'];
      if (name) await this.engine.call(['stop', name], { limitMs: 0 });
    }
  }
}
