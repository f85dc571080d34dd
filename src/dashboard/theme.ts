/** The colours that the chart draws with, as the style sheet has them now. */
export interface ChartColors {
  readonly text: string;
  readonly grid: string;
  readonly latency: string;
  readonly failure: string;
  readonly restart: string;
}

export function chartColors(): ChartColors {
  const style = getComputedStyle(document.body);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    text: read('--chart-text'),
    grid: read('--chart-grid'),
    latency: read('--chart-latency'),
    failure: read('--chart-failure'),
    restart: read('--chart-restart'),
  };
}

/** Calls when the editor's or the system's theme changes: a canvas does not follow the style sheet by itself. */
export function onThemeChange(listener: () => void): void {
  const observer = new MutationObserver(listener);
  observer.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-vscode-theme-id'] });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style'] });
  for (const query of ['(prefers-color-scheme: dark)', '(prefers-contrast: more)', '(forced-colors: active)']) {
    matchMedia(query).addEventListener('change', listener);
  }
}
