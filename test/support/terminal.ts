import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Terminal } from '@xterm/headless';
import { waitFor } from './wait.ts';

export interface TerminalOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly columns: number;
  readonly rows: number;
}

/** util-linux's way to give a program a terminal of its own. */
export const hasTerminals = (): boolean =>
  process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

/** A program in a terminal of its own, and what a person sees there: its output goes through a terminal's emulator. */
export class ProgramInTerminal {
  private readonly screen: Terminal;
  private readonly child: ChildProcess;
  private device = '';
  /** Everything that the program wrote. */
  output = '';

  /** `command` is read by a shell. */
  constructor(command: string, { cwd, env, columns, rows }: TerminalOptions) {
    this.screen = new Terminal({ cols: columns, rows, allowProposedApi: true });
    const prepared = `stty cols ${columns} rows ${rows}; echo "<$(tty)>"; ${command}`;
    this.child = spawn('script', ['--quiet', '--return', '--command', prepared, '/dev/null'], {
      cwd,
      env: { ...process.env, TERM: 'xterm-256color', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      this.device ||= /<(\/dev\/\S+)>/.exec(text)?.[1] ?? '';
      this.screen.write(text);
    });
  }

  /** The lines as they are seen now, without those that are empty at the end. */
  get lines(): string[] {
    const { active } = this.screen.buffer;
    const all = Array.from(
      { length: this.screen.rows },
      (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? '',
    );
    return all.slice(0, all.findLastIndex(line => line !== '') + 1);
  }

  /** Which of the two screens that terminals have is seen. */
  get buffer(): 'normal' | 'alternate' {
    return this.screen.buffer.active.type;
  }

  async resize(columns: number, rows: number): Promise<void> {
    await waitFor('the name of the terminal', () => this.device !== '');
    this.screen.resize(columns, rows);
    const stty = spawn('stty', ['-F', this.device, 'cols', String(columns), 'rows', String(rows)], {
      stdio: 'inherit',
    });
    await once(stty, 'exit');
  }

  /** As if it was typed; `\x03` is Ctrl-C. */
  type(text: string): void {
    this.child.stdin!.write(text);
  }

  /** The program's exit code, once everything that it wrote is on the screen. */
  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    await new Promise<void>(resolve => this.screen.write('', resolve));
    return this.child.exitCode;
  }

  dispose(): void {
    this.child.kill('SIGKILL');
    this.screen.dispose();
  }
}
