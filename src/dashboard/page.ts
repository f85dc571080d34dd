import './locale.ts';
import type { StackAction, ToPage } from '../model/dashboard.ts';
import type { ReplicaCounts } from '../model/replicas.ts';
import type { ServiceId, ServiceSnapshot } from '../model/service.ts';
import { stateText } from '../model/wording.ts';
import { button, element, setChildren, setText } from './dom.ts';
import { connectHost, type Host, type ViewState } from './host.ts';
import { OutputView } from './output-view.ts';
import { PortMapView } from './port-map-view.ts';
import { ServiceCard } from './service-card.ts';
import { onThemeChange } from './theme.ts';

/** The dashboard's page: it draws what its host tells, and knows nothing else. */
const WINDOWS_MINUTES = [5, 15, 60] as const;
const TICK_MS = 1_000;

class Page {
  private readonly host: Host;
  private view: ViewState;
  private readonly heading = element('h1', {}, 'HELIX');
  private readonly summary = element('p', { class: 'summary' });
  private readonly actions = element('div', { class: 'buttons', role: 'group', aria: { label: 'All services' } });
  private readonly lost = element('p', { class: 'lost', role: 'alert', hidden: true });
  private readonly live = element('p', { class: 'visually-hidden', role: 'status' });
  private readonly cards = element('div', { class: 'services' });
  private readonly byService = new Map<ServiceId, ServiceCard>();
  private readonly states = new Map<ServiceId, string>();
  private readonly ports: PortMapView;
  private output: OutputView;
  private readonly outputSection: HTMLElement;
  private canAct = false;

  constructor() {
    this.host = connectHost({
      onMessage: message => this.take(message),
      onConnection: connected => this.connection(connected),
    });
    this.view = this.host.state;
    this.ports = new PortMapView(this.view.ports ?? {}, (band, port) =>
      this.keep({ ports: { ...this.view.ports, [band]: port } }),
    );
    this.output = this.newOutput();
    this.outputSection = element('section', { aria: { label: 'Output' } }, element('h2', {}, 'Output'));
    this.outputSection.append(this.output.element);
    document.body.append(
      element('header', { class: 'top' }, this.heading, this.summary, this.actions),
      this.lost,
      element(
        'main',
        {},
        section('Services', this.windowChoice(), this.cards),
        section('Ports', this.ports.element),
        this.outputSection,
      ),
      this.live,
    );
    setInterval(() => this.tick(), TICK_MS);
    onThemeChange(() => this.byService.forEach(card => card.chart.recolor()));
    this.host.send({ kind: 'ready' });
  }

  private take(message: ToPage): void {
    switch (message.kind) {
      case 'hello':
        return this.begin(message);
      case 'services':
        return this.showServices(message.services, message.replicas);
      case 'history':
        return this.byService.get(message.id)?.setHistory(message.checks, message.restarts);
      case 'check':
        return this.byService.get(message.id)?.addCheck(message.check);
      case 'restart':
        return this.byService.get(message.id)?.setRestarts(message.restarts);
      case 'lines':
        return this.output.add(message.id, message.lines, message.all);
      case 'ports':
        return this.ports.show(message.bands);
    }
  }

  private begin({ key, workspace, canAct }: Extract<ToPage, { kind: 'hello' }>): void {
    this.canAct = canAct;
    const name = workspace.split(/[\\/]/).findLast(Boolean) ?? workspace;
    setText(this.heading, `HELIX: ${name}`);
    this.heading.title = workspace;
    document.title = `HELIX: ${name}`;
    this.keep({ key });
    this.byService.clear();
    const all = (label: string, action: StackAction): HTMLButtonElement =>
      button(label, () => this.host.send({ kind: 'stack', action }));
    this.actions.replaceChildren(
      ...(canAct
        ? [
            all('Start all', 'startAll'),
            all('Restart all', 'restartAll'),
            all('Stop all', 'stopAll'),
            all('Export health history…', 'exportHistory'),
          ]
        : []),
    );
    const output = this.newOutput();
    this.output.element.replaceWith(output.element);
    this.output = output;
  }

  private showServices(services: readonly ServiceSnapshot[], replicas: ReplicaCounts): void {
    const cards = services.map(service => {
      const known = this.byService.get(service.id);
      if (known) {
        known.show(service, replicas[service.id]);
        return known.element;
      }
      const card = new ServiceCard(service, {
        replicas: replicas[service.id],
        canAct: this.canAct,
        windowMs: this.windowMs,
        onAction: action => this.host.send({ kind: 'service', action, id: service.id }),
      });
      this.byService.set(service.id, card);
      return card.element;
    });
    setChildren(this.cards, cards);
    this.output.show(services);
    const healthy = services.filter(service => service.state.kind === 'healthy').length;
    setText(this.summary, `${healthy} of ${services.length} healthy`);
    this.announce(services);
  }

  /** Says what changed, to those who do not see it. What was so from the beginning is no news. */
  private announce(services: readonly ServiceSnapshot[]): void {
    const now = Date.now();
    const news = services.flatMap(service => {
      const before = this.states.get(service.id);
      const { kind } = service.state;
      this.states.set(service.id, kind);
      return before === undefined || before === kind ? [] : [`${service.label}: ${stateText(service, now)}`];
    });
    if (news.length > 0) this.live.textContent = news.join('. ');
  }

  private connection(connected: boolean): void {
    this.lost.hidden = connected;
    setText(this.lost, connected ? '' : 'The command line that serves this page is gone. Start it again and reload.');
  }

  private windowChoice(): HTMLElement {
    const select = element('select');
    for (const minutes of WINDOWS_MINUTES) {
      const option = element('option', {}, minutes === 60 ? '1 hour' : `${minutes} minutes`);
      option.value = String(minutes);
      option.selected = minutes === this.windowMs / 60_000;
      select.append(option);
    }
    select.addEventListener('change', () => {
      this.keep({ windowMinutes: Number(select.value) });
      this.byService.forEach(card => card.chart.setWindow(this.windowMs));
    });
    return element('label', { class: 'window' }, 'Show the last ', select);
  }

  private get windowMs(): number {
    const known = WINDOWS_MINUTES.find(minutes => minutes === this.view.windowMinutes);
    return (known ?? WINDOWS_MINUTES[0]) * 60_000;
  }

  private newOutput(): OutputView {
    return new OutputView(this.view.tab, tab => this.keep({ tab }));
  }

  private keep(change: Partial<ViewState>): void {
    this.view = { ...this.view, ...change };
    this.host.keep(this.view);
  }

  private tick(): void {
    if (!document.hidden) this.byService.forEach(card => card.tick());
  }
}

const section = (title: string, ...children: readonly HTMLElement[]): HTMLElement =>
  element('section', { aria: { label: title } }, element('h2', {}, title), ...children);

new Page();
