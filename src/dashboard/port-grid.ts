import type { BandRange, PortCell, PortUse } from '../model/port-map.ts';
import { element, newId, setText } from './dom.ts';

export const USES: readonly PortUse[] = ['ours', 'helix', 'foreign', 'reserved', 'free'];

export const USE_WORDS: Readonly<Record<PortUse, string>> = {
  ours: 'this workspace',
  helix: 'another HELIX workspace',
  foreign: 'somebody else',
  reserved: 'reserved',
  free: 'free',
};

/** The same after a number: `3 ours`. */
const COUNT_WORDS: Readonly<Record<PortUse, string>> = {
  ours: 'ours',
  helix: "another workspace's",
  foreign: "somebody else's",
  reserved: 'reserved',
  free: 'free',
};

const COLUMNS = 20;

/**
 * One band as a grid of 20 ports a row. It is one stop of the Tab key; within it the arrows, Home, End, Page Up and Page
 * Down move (https://www.w3.org/WAI/ARIA/apg/patterns/grid/). Hover and focus say whose a port is.
 */
export class PortGrid {
  readonly element: HTMLElement;
  private readonly readout = element('p', { class: 'readout' });
  private readonly cells: HTMLElement[] = [];
  private uses = new Map<number, PortCell>();
  /** The cell that Tab comes to. */
  private current = 0;
  /** The port that is read out now, under the pointer or with the focus. */
  private read: number | undefined;

  constructor(
    private readonly band: BandRange,
    focused: number | undefined,
    private readonly onFocus: (port: number) => void,
  ) {
    const { name, from, to } = band;
    const title = newId('band');
    const range = from === to ? String(from) : `${from}–${to}`;
    const heading = element('h3', { id: title }, name, ' ', element('span', { class: 'range' }, range));
    for (let port = from; port <= to; port++) this.cells.push(element('div', { class: 'cell free', role: 'gridcell' }));
    const rows: HTMLElement[] = [];
    for (let start = 0; start < this.cells.length; start += COLUMNS) {
      rows.push(element('div', { class: 'row', role: 'row' }, ...this.cells.slice(start, start + COLUMNS)));
    }
    const grid = element('div', { class: 'grid', role: 'grid', aria: { labelledby: title } }, ...rows);
    grid.addEventListener('keydown', event => this.onKey(event));
    grid.addEventListener('focusin', event => this.onFocusIn(event));
    grid.addEventListener('focusout', () => this.say(undefined));
    grid.addEventListener('mouseover', event => this.say(this.portOf(event.target)));
    grid.addEventListener('mouseleave', () => this.say(undefined));
    this.element = element('section', { class: 'band', aria: { labelledby: title } }, heading, grid, this.readout);
    this.setCurrent(focused === undefined ? 0 : Math.min(Math.max(0, focused - from), this.cells.length - 1));
  }

  show(used: readonly PortCell[]): void {
    this.uses = new Map(used.map(cell => [cell.port, cell]));
    this.cells.forEach((cell, index) => {
      const port = this.band.from + index;
      const text = this.textOf(port);
      if (cell.getAttribute('aria-label') === text) return;
      cell.className = `cell ${this.uses.get(port)?.use ?? 'free'}`;
      cell.setAttribute('aria-label', text);
    });
    this.say(this.read);
  }

  private textOf(port: number): string {
    const cell = this.uses.get(port);
    return cell ? `${port}, ${USE_WORDS[cell.use]}: ${cell.who}` : `${port}, free`;
  }

  private summary(): string {
    const count = (use: PortUse): number => [...this.uses.values()].filter(cell => cell.use === use).length;
    const free = this.cells.length - this.uses.size;
    const words = USES.filter(use => use !== 'free' && count(use) > 0).map(use => `${count(use)} ${COUNT_WORDS[use]}`);
    return [`${free} of ${this.cells.length} free`, ...words].join(', ');
  }

  private say(port: number | undefined): void {
    this.read = port ?? this.focusedPort();
    setText(this.readout, this.read === undefined ? this.summary() : this.textOf(this.read));
  }

  private focusedPort(): number | undefined {
    const index = this.cells.indexOf(document.activeElement as HTMLElement);
    return index < 0 ? undefined : this.band.from + index;
  }

  private portOf(target: EventTarget | null): number | undefined {
    const index = this.cells.indexOf(target as HTMLElement);
    return index < 0 ? undefined : this.band.from + index;
  }

  private onFocusIn(event: FocusEvent): void {
    const port = this.portOf(event.target);
    if (port === undefined) return;
    this.setCurrent(port - this.band.from);
    this.say(port);
    this.onFocus(port);
  }

  private setCurrent(index: number): void {
    this.current = index;
    for (const [at, cell] of this.cells.entries()) cell.tabIndex = at === index ? 0 : -1;
  }

  private onKey(event: KeyboardEvent): void {
    const next = this.target(event);
    if (next === undefined || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.cells[Math.min(Math.max(0, next), this.cells.length - 1)]!.focus();
  }

  private target({ key, ctrlKey }: KeyboardEvent): number | undefined {
    const { current } = this;
    const last = this.cells.length - 1;
    const rowStart = current - (current % COLUMNS);
    const column = current % COLUMNS;
    switch (key) {
      case 'ArrowLeft':
        return current - 1;
      case 'ArrowRight':
        return current + 1;
      case 'ArrowUp':
        return current < COLUMNS ? current : current - COLUMNS;
      case 'ArrowDown':
        return current + COLUMNS > last ? current : current + COLUMNS;
      case 'Home':
        return ctrlKey ? 0 : rowStart;
      case 'End':
        return ctrlKey ? last : rowStart + COLUMNS - 1;
      case 'PageUp':
        return column;
      case 'PageDown':
        return last - (last % COLUMNS) + column;
      default:
        return undefined;
    }
  }
}
