import { URL_COLUMN } from './status-table.ts';

export interface Fit {
  /** How wide a line may be, in characters. */
  readonly columns: number;
  /** How many lines there may be. */
  readonly lines: number;
  /** Dresses a cell, which must not become wider by that. */
  readonly style: (text: string, cell: { readonly column: string; readonly isHeader: boolean }) => string;
}

const GAP = '  ';
/** Left out in this order where the lines are short: the port tells nearly all that the URL does. */
const DISPENSABLE: readonly string[] = [URL_COLUMN, 'RESTARTS', 'PID', 'UPTIME', 'PORT'];

/**
 * The table, whose first row is the header, in lines that fit: columns that have no room are left out, what is still too
 * wide is cut, and of rows that have no room the last line tells how many they are.
 */
export function fitTable(table: readonly (readonly string[])[], { columns, lines, style }: Fit): string[] {
  const shown = shownColumns(table, columns);
  const rows = withinLines(table, lines);
  const header = table[0]!;
  return rows.map((row, index) => {
    if (typeof row === 'string') return cut(row, columns);
    let room = columns;
    const cells: string[] = [];
    for (const { at, width } of shown) {
      if (room <= 0) break;
      const text = cut(row[at]!, room).padEnd(Math.min(width, room));
      room -= width + GAP.length;
      cells.push(style(text, { column: header[at]!, isHeader: index === 0 }));
    }
    return cells.join(GAP).trimEnd();
  });
}

interface Column {
  readonly at: number;
  readonly width: number;
}

function shownColumns(table: readonly (readonly string[])[], columns: number): readonly Column[] {
  const header = table[0]!;
  let shown = header.map((_, at): Column => ({ at, width: Math.max(...table.map(row => row[at]!.length)) }));
  const needed = (): number => shown.reduce((sum, { width }) => sum + width, (shown.length - 1) * GAP.length);
  for (const name of DISPENSABLE) {
    if (needed() <= columns) break;
    shown = shown.filter(({ at }) => header[at] !== name);
  }
  return shown;
}

function withinLines<Row>(rows: readonly Row[], lines: number): (Row | string)[] {
  if (rows.length <= lines) return [...rows];
  const shown = rows.slice(0, Math.max(1, lines - 1));
  const left = rows.length - shown.length;
  return lines < 2 ? shown : [...shown, `… and ${left} more`];
}

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}${width > 0 ? '…' : ''}`;
