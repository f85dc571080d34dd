import uPlot from 'uplot';
import { type HealthCheck, type RestartMark, summaryOf } from '../model/health-history.ts';
import { formatDuration, formatLatency } from '../model/wording.ts';
import { type ChartData, chartData } from './chart-data.ts';
import { element, setText } from './dom.ts';
import { chartColors } from './theme.ts';

const HEIGHT = 110;
const FONT = '11px system-ui, sans-serif';

/** Whole numbers only: there is no half restart. */
const COUNTS = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** A service's latency and restarts over time, live. What it shows is also said in words, for those who cannot see it. */
export class HealthChart {
  readonly element: HTMLElement;
  private readonly canvas = element('div', { class: 'chart', role: 'img' });
  private readonly caption = element('figcaption');
  private plot: uPlot | undefined;
  private checks: readonly HealthCheck[] = [];
  private restarts: readonly RestartMark[] = [];
  private colors = chartColors();
  private hovered = '';

  constructor(
    private readonly label: string,
    private windowMs: number,
  ) {
    this.element = element('figure', {}, this.canvas, this.caption);
    new ResizeObserver(() => this.resize()).observe(this.canvas);
  }

  show(checks: readonly HealthCheck[], restarts: readonly RestartMark[]): void {
    this.checks = checks;
    this.restarts = restarts;
    this.draw();
  }

  setWindow(windowMs: number): void {
    this.windowMs = windowMs;
    this.draw();
  }

  recolor(): void {
    this.colors = chartColors();
    this.plot?.redraw(false, true);
  }

  private draw(): void {
    const to = Math.max(Date.now(), this.checks.at(-1)?.at ?? 0);
    const from = to - this.windowMs;
    const data = chartData(this.checks, this.restarts, { from, to });
    if (this.plot) this.plot.setData(data);
    else if (this.canvas.clientWidth > 0) this.create(data);
    this.describe(from);
  }

  private create(data: ChartData): void {
    this.plot = new uPlot(this.options(this.canvas.clientWidth), data, this.canvas);
  }

  private resize(): void {
    const { clientWidth } = this.canvas;
    if (clientWidth === 0) return;
    if (this.plot) this.plot.setSize({ width: clientWidth, height: HEIGHT });
    else this.draw();
  }

  private describe(from: number): void {
    const seen = this.checks.filter(check => check.at >= from);
    const summary = summaryOf(seen);
    const failed = seen.filter(check => check.outcome !== 'ok').length;
    const restarted = this.restarts.filter(restart => restart.at >= from).length;
    const words = [
      summary
        ? `${formatLatency(summary.lastMs)} now, ${formatLatency(summary.medianMs)} median, ` +
          `${formatLatency(summary.worstMs)} worst`
        : this.isCalled
          ? 'no answer'
          : 'not called',
      `${seen.length} checks, ${failed} failed`,
      `${restarted} ${restarted === 1 ? 'restart' : 'restarts'}`,
    ].join('; ');
    const text = `last ${formatDuration(this.windowMs)}: ${words}`;
    this.canvas.setAttribute('aria-label', `${this.label}, ${text}`);
    if (!this.hovered) setText(this.caption, text);
  }

  private options(width: number): uPlot.Options {
    const axis = { font: FONT, stroke: () => this.colors.text, ticks: { show: false }, gap: 4 } as const;
    const grid = { stroke: () => (this.isCalled ? this.colors.grid : 'transparent'), width: 1 };
    return {
      width,
      height: HEIGHT,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        ms: { range: (_plot, _min, max) => [0, Math.max(1, (max ?? 0) * 1.15)] },
        count: { range: (_plot, _min, max) => [0, Math.max(3, max ?? 0)] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 22, space: 60, values: (_plot, splits) => splits.map(timeOf) },
        { ...axis, grid, scale: 'ms', size: 48, space: 28, values: (_plot, splits) => this.latencies(splits) },
        { ...axis, grid: { show: false }, scale: 'count', side: 1, size: 24, incrs: COUNTS, space: 28 },
      ],
      series: [
        {},
        { scale: 'ms', stroke: () => this.colors.latency, width: 1.5, points: { show: false } },
        {
          scale: 'ms',
          stroke: () => this.colors.failure,
          width: 0,
          points: { show: true, size: 7, stroke: () => this.colors.failure, fill: () => this.colors.failure },
        },
        {
          scale: 'count',
          stroke: () => this.colors.restart,
          width: 1,
          dash: [4, 3],
          points: { show: false },
          paths: uPlot.paths.stepped!({ align: 1 }),
        },
      ],
      hooks: { setCursor: [plot => this.hover(plot)] },
    };
  }

  /** A process that is not called has no latency to be measured by. */
  private get isCalled(): boolean {
    return this.checks.length > 0;
  }

  private latencies(splits: readonly number[]): string[] {
    return splits.map(one => (this.isCalled ? `${one} ms` : ''));
  }

  /** What stands beneath the pointer, in words. */
  private hover(plot: uPlot): void {
    const { idx } = plot.cursor;
    const at = idx === null || idx === undefined ? undefined : plot.data[0][idx];
    const check = at === undefined ? undefined : this.checks.find(one => Math.abs(one.at / 1000 - at) < 0.001);
    this.hovered = check
      ? `${new Date(check.at).toLocaleTimeString()}: ${formatLatency(check.latencyMs)}, ${check.reason ?? check.outcome}`
      : '';
    if (this.hovered) setText(this.caption, this.hovered);
  }
}

const timeOf = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
