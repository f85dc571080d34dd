/** The value below which the share `part` of them lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return NaN;
  const position = (sorted.length - 1) * part;
  const below = sorted[Math.floor(position)]!;
  const above = sorted[Math.ceil(position)]!;
  return below + (above - below) * (position - Math.floor(position));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Milliseconds with two digits that count: `0.14`, `3.2`, `44`, `1,471`. */
export function ms(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 9.95) return Math.round(value).toLocaleString('en');
  return value.toFixed(size >= 0.995 ? 1 : 2);
}

/** `median (min–max)` of milliseconds. */
export function spread(values: readonly number[]): string {
  if (values.length === 0) return '–';
  return `${ms(median(values))} (${ms(Math.min(...values))}–${ms(Math.max(...values))})`;
}

export const percent = (part: number, whole: number): string => `${Math.round((100 * part) / whole)} %`;

/** A markdown table; the first column is text, the others are figures. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** Values by contender and, within it, by case. */
export class Samples<T> {
  private readonly all = new Map<string, T[]>();

  add(value: T, ...key: readonly string[]): void {
    const values = this.get(...key);
    values.push(value);
    this.all.set(key.join('\0'), values);
  }

  get(...key: readonly string[]): T[] {
    return this.all.get(key.join('\0')) ?? [];
  }
}
