import type { CliContext } from './context.ts';

type Stream = Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'>;

const CLEAR_LINE = '\r\x1b[K';

/** What the command line prints: answers on stdout, all else on stderr, and there a line that moves on a terminal. */
export class Console implements Pick<CliContext, 'out' | 'err' | 'progress'> {
  /** What stands on the moving line now. */
  private moving = '';
  private readonly told = new Set<string>();

  constructor(
    private readonly stdout: Stream,
    private readonly stderr: Stream,
  ) {}

  readonly out = (line: string): void => this.print(this.stdout, line);

  readonly err = (line: string): void => this.print(this.stderr, line);

  readonly progress = (text: string): void => {
    if (this.stderr.isTTY) this.move(text);
    else if (!this.told.has(text)) {
      // Services that come up at the same time would be named in turns.
      this.told.add(text);
      this.err(text);
    }
  };

  /** Takes the moving line away. */
  readonly done = (): void => this.move('');

  private print(stream: Stream, line: string): void {
    const { moving } = this;
    this.move('');
    stream.write(`${line}\n`);
    this.move(moving);
  }

  private move(text: string): void {
    // A line that is broken in two could not be taken back.
    const fitting = text.slice(0, Math.max(0, (this.stderr.columns || 80) - 1));
    if (fitting === this.moving) return;
    this.stderr.write(CLEAR_LINE + fitting);
    this.moving = fitting;
  }
}
