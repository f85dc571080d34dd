import { styleText } from 'node:util';
import { createLogUpdate } from 'log-update';
import { type Disposable, DisposableStore, toDisposable } from '../base/dispose.ts';
import type { StateKind } from '../model/service.ts';
import type { Stack } from '../session/stack.ts';
import { fitTable } from './fit-table.ts';
import { STATE_COLUMN, statusRows } from './status-table.ts';

/**
 * The terminal's second screen, as `top` and `less` use it: what stood on the first is there again afterwards, and lines
 * are not broken anew when the window changes its width.
 */
const ENTER_SCREEN = '\x1b[?1049h\x1b[?25l';
const LEAVE_SCREEN = '\x1b[?25h\x1b[?1049l';
const CLEAR_SCREEN = '\x1b[H\x1b[2J';
/** Uptimes are in seconds. Nothing is asked of anybody for that. */
const TICK_MS = 1_000;

const COLORS: Readonly<Partial<Record<StateKind, Parameters<typeof styleText>[0]>>> = {
  healthy: 'green',
  unhealthy: 'yellow',
  backingOff: 'yellow',
  failed: 'red',
};

type Terminal = Pick<NodeJS.WriteStream, 'write' | 'columns' | 'rows' | 'on' | 'off'>;

/** The services as a table that fills a terminal and follows what their supervisors tell. */
export class LiveTable implements Disposable {
  private readonly store = new DisposableStore();
  private readonly update;
  private lines = 0;

  constructor(
    private readonly stack: Stack,
    private readonly terminal: Terminal,
  ) {
    // It writes the lines that changed, in one piece, which terminals show at once. The cursor is ours.
    this.update = createLogUpdate(terminal as NodeJS.WriteStream, { showCursor: true });
    const { store } = this;
    terminal.write(ENTER_SCREEN);
    const leave = (): void => void terminal.write(LEAVE_SCREEN);
    // Also when a defect ends the process.
    process.once('exit', leave);
    store.add(
      toDisposable(() => {
        process.off('exit', leave);
        leave();
      }),
    );
    store.add(stack.onChange(() => this.draw()));
    const timer = setInterval(() => this.draw(), TICK_MS);
    store.add(toDisposable(() => clearInterval(timer)));
    const redraw = (): void => this.redraw();
    terminal.on('resize', redraw);
    store.add(toDisposable(() => terminal.off('resize', redraw)));
    // Back from Ctrl-Z: the shell has written on the screen.
    const resume = (): void => {
      terminal.write(ENTER_SCREEN);
      this.redraw();
    };
    process.on('SIGCONT', resume);
    store.add(toDisposable(() => process.off('SIGCONT', resume)));
    this.redraw();
  }

  dispose(): void {
    this.store.dispose();
  }

  /** All of it, wherever the cursor is and whatever the screen shows. */
  private redraw(): void {
    this.terminal.write(CLEAR_SCREEN);
    this.update.done();
    this.lines = 0;
    this.draw();
  }

  private draw(): void {
    const { columns = 80, rows = 24 } = this.terminal;
    const { header, rows: all } = statusRows(this.stack.snapshot, Date.now());
    // The cursor stands on the last line.
    const lines = fitTable([header, ...all], { columns, lines: Math.max(1, rows - 1), style: styleCell });
    // It moves no line up or down that has not changed itself.
    if (this.lines !== 0 && lines.length !== this.lines) {
      this.lines = 0;
      return this.redraw();
    }
    this.lines = lines.length;
    this.update(lines.join('\n'));
  }
}

function styleCell(
  text: string,
  { column, isHeader }: { readonly column: string; readonly isHeader: boolean },
): string {
  if (isHeader) return styleText('bold', text);
  const color = column === STATE_COLUMN ? COLORS[text.trim() as StateKind] : undefined;
  return color === undefined ? text : styleText(color, text);
}
