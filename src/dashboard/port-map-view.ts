import type { BandMap } from '../model/port-map.ts';
import { element, setChildren } from './dom.ts';
import { PortGrid, USES, USE_WORDS } from './port-grid.ts';

/** All bands, each as a grid. */
export class PortMapView {
  readonly element: HTMLElement;
  private readonly bands = element('div', { class: 'bands' });
  private readonly grids = new Map<string, PortGrid>();

  constructor(
    private readonly focused: Readonly<Record<string, number>>,
    private readonly onFocus: (band: number, port: number) => void,
  ) {
    const legend = element(
      'ul',
      { class: 'legend', aria: { label: 'Legend' } },
      ...USES.map(use =>
        element('li', {}, element('span', { class: `cell ${use}`, aria: { hidden: 'true' } }), USE_WORDS[use]),
      ),
    );
    this.element = element('div', {}, legend, this.bands);
  }

  show(bands: readonly BandMap[]): void {
    const shown = bands.map(band => {
      const key = `${band.name} ${band.from} ${band.to}`;
      let grid = this.grids.get(key);
      if (!grid) {
        grid = new PortGrid(band, this.focused[band.from], port => this.onFocus(band.from, port));
        this.grids.set(key, grid);
      }
      grid.show(band.used);
      return grid.element;
    });
    setChildren(this.bands, shown);
  }
}
