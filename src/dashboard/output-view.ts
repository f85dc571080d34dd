import type { ServiceId, ServiceSnapshot } from '../model/service.ts';
import { element, newId, setChildren } from './dom.ts';

const KEPT_LINES = 200;

/** The services' last lines, one service at a time, as tabs (https://www.w3.org/WAI/ARIA/apg/patterns/tabs/). */
export class OutputView {
  readonly element: HTMLElement;
  private readonly tabs = element('div', { role: 'tablist', class: 'tabs', aria: { label: 'Service' } });
  private readonly panel = element('div', { role: 'tabpanel', id: newId('output'), class: 'output', tabIndex: 0 });
  private readonly byService = new Map<ServiceId, { readonly tab: HTMLButtonElement; lines: string[] }>();
  private shown: ServiceId | undefined;

  constructor(
    private wanted: string | undefined,
    private readonly onTab: (id: string) => void,
  ) {
    this.element = element('div', {}, this.tabs, this.panel);
    this.tabs.addEventListener('keydown', event => this.onKey(event));
  }

  show(services: readonly ServiceSnapshot[]): void {
    for (const { id, label } of services) {
      const known = this.byService.get(id);
      if (known) {
        if (known.tab.textContent !== label) known.tab.textContent = label;
        continue;
      }
      const tab = element('button', { role: 'tab', id: newId('tab'), aria: { controls: this.panel.id } }, label);
      tab.type = 'button';
      tab.addEventListener('click', () => this.select(id, true));
      this.byService.set(id, { tab, lines: [] });
    }
    const present = services.map(service => service.id);
    setChildren(
      this.tabs,
      present.map(id => this.byService.get(id)!.tab),
    );
    if (this.shown && present.includes(this.shown)) return;
    const first = present.find(id => id === this.wanted) ?? present.find(id => id === 'api') ?? present[0];
    if (first) this.select(first, false);
  }

  add(id: ServiceId, lines: readonly string[], all: boolean): void {
    const entry = this.byService.get(id);
    if (!entry) return;
    entry.lines = [...(all ? [] : entry.lines), ...lines].slice(-KEPT_LINES);
    if (id !== this.shown) return;
    if (all) this.fill(entry.lines);
    else this.append(lines);
  }

  private select(id: ServiceId, byUser: boolean): void {
    this.shown = id;
    if (byUser) {
      this.wanted = id;
      this.onTab(id);
    }
    for (const [one, { tab }] of this.byService) {
      tab.setAttribute('aria-selected', String(one === id));
      tab.tabIndex = one === id ? 0 : -1;
    }
    const { tab, lines } = this.byService.get(id)!;
    this.panel.setAttribute('aria-labelledby', tab.id);
    this.fill(lines);
  }

  private fill(lines: readonly string[]): void {
    this.panel.replaceChildren();
    if (lines.length === 0) this.panel.append(element('p', { class: 'nothing' }, 'No output yet.'));
    else this.append(lines);
  }

  /** It follows the end, unless somebody has scrolled away from it to read. */
  private append(lines: readonly string[]): void {
    const { panel } = this;
    const follows = panel.scrollHeight - panel.scrollTop - panel.clientHeight < 24;
    panel.querySelector('.nothing')?.remove();
    panel.append(...lines.map(line => element('div', { class: 'line' }, line || '\u00a0')));
    while (panel.childElementCount > KEPT_LINES) panel.firstElementChild!.remove();
    if (follows) panel.scrollTop = panel.scrollHeight;
  }

  private onKey(event: KeyboardEvent): void {
    const tabs = [...this.tabs.children] as HTMLElement[];
    const at = tabs.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length]!;
    tab.focus();
    tab.click();
  }
}
