import type { ServiceAction } from '../model/dashboard.ts';
import type { HealthCheck, RestartMark } from '../model/health-history.ts';
import { MAX_REPLICAS } from '../model/replicas.ts';
import { isRunning, type ServiceSnapshot } from '../model/service.ts';
import { factsOf, lookOf, stateText } from '../model/wording.ts';
import { HealthChart } from './chart.ts';
import { button, element, newId, setChildren, setText } from './dom.ts';

/** More than an hour of checks is not shown. */
const KEPT_CHECKS = 2_000;

export interface CardOptions {
  readonly canAct: boolean;
  readonly windowMs: number;
  /** How many there are to be of it; undefined for one of which there cannot be several. */
  readonly replicas: number | undefined;
  readonly onAction: (action: ServiceAction) => void;
}

/** One service: its state, its facts, its health over time, and what can be done with it. */
export class ServiceCard {
  readonly element: HTMLElement;
  readonly chart: HealthChart;
  private readonly dot = element('span', { class: 'dot', aria: { hidden: 'true' } });
  private readonly state = element('span', { class: 'word' });
  private readonly title = element('h3', { id: newId('service') });
  private readonly link = element('a', { class: 'url', hidden: true });
  private readonly facts = element('dl');
  private readonly buttons: Readonly<Partial<Record<ServiceAction, HTMLButtonElement>>>;
  private checks: HealthCheck[] = [];
  private restarts: readonly RestartMark[] = [];
  private service: ServiceSnapshot;
  private replicas: number | undefined;
  private factsText = '';

  constructor(
    service: ServiceSnapshot,
    private readonly options: CardOptions,
  ) {
    this.service = service;
    this.chart = new HealthChart(`Health of ${service.label}`, options.windowMs);
    const action = (name: ServiceAction, label: string): HTMLButtonElement =>
      button(label, () => options.onAction(name), { aria: { label: `${label} ${service.label}` } });
    this.buttons = options.canAct
      ? {
          start: action('start', 'Start'),
          restart: action('restart', 'Restart'),
          stop: action('stop', 'Stop'),
          terminal: action('terminal', 'Terminal'),
          removeReplica: this.scaleButton('removeReplica'),
          addReplica: this.scaleButton('addReplica'),
        }
      : {};
    this.link.addEventListener('click', event => {
      // Remote windows reach the port through an address that only the editor knows.
      if (!options.canAct) return;
      event.preventDefault();
      options.onAction('open');
    });
    this.element = element(
      'article',
      { class: 'service', aria: { labelledby: this.title.id } },
      element('header', {}, this.dot, this.title, this.state, this.link),
      this.chart.element,
      this.facts,
      element('div', { class: 'buttons' }, ...Object.values(this.buttons)),
    );
    this.show(service, options.replicas);
  }

  show(service: ServiceSnapshot, replicas: number | undefined): void {
    this.service = service;
    this.replicas = replicas;
    const { kind } = service.state;
    this.element.dataset['state'] = kind;
    setText(this.title, service.label);
    this.showLink(service.url);
    const running = isRunning(service.state);
    const { start, restart, stop, terminal } = this.buttons;
    if (start) start.hidden = running;
    if (restart) restart.hidden = !running || service.external;
    if (stop) stop.hidden = !running;
    if (terminal) terminal.hidden = service.supervisorPid === undefined;
    this.showScale(running && !service.external ? replicas : undefined);
    this.tick();
  }

  /** Times pass without anything changing. */
  tick(): void {
    const { service } = this;
    const now = Date.now();
    setText(this.state, stateText(service, now));
    this.state.title = lookOf(service).word;
    const facts = factsOf(service, now).filter(fact => fact.name !== 'url' && fact.name !== 'problem');
    const rows = [
      ...(service.port === undefined ? [] : [['Port', String(service.port)] as const]),
      ...((this.replicas ?? 1) > 1 ? [['Replicas', String(this.replicas)] as const] : []),
      ...facts.map(fact => [fact.label, fact.value] as const),
    ];
    const text = JSON.stringify(rows);
    if (text === this.factsText) return;
    this.factsText = text;
    setChildren(
      this.facts,
      rows.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
    );
  }

  setHistory(checks: readonly HealthCheck[], restarts: readonly RestartMark[]): void {
    // Checks that were told while the history was on its way are in it as well.
    this.checks = [...checks];
    this.restarts = restarts;
    this.chart.show(this.checks, restarts);
  }

  setRestarts(restarts: readonly RestartMark[]): void {
    this.restarts = restarts;
    this.chart.show(this.checks, restarts);
  }

  addCheck(check: HealthCheck): void {
    this.checks.push(check);
    if (this.checks.length > KEPT_CHECKS) this.checks.splice(0, this.checks.length - KEPT_CHECKS);
    this.chart.show(this.checks, this.restarts);
  }

  private scaleButton(name: 'addReplica' | 'removeReplica'): HTMLButtonElement {
    const { label } = this.service;
    const [sign, words] =
      name === 'addReplica' ? ['+', `Add a replica of ${label}`] : ['−', `Remove a replica of ${label}`];
    const onClick = (): void => {
      if (made.getAttribute('aria-disabled') !== 'true') this.options.onAction(name);
    };
    const made = button(sign, onClick, { class: 'scale', title: words, aria: { label: words } });
    return made;
  }

  /** A button that has no effect now stays where it is, for it may have the focus. */
  private showScale(count: number | undefined): void {
    const { addReplica, removeReplica } = this.buttons;
    const set = (target: HTMLButtonElement | undefined, isUseful: (count: number) => boolean): void => {
      if (!target) return;
      target.hidden = count === undefined;
      target.setAttribute('aria-disabled', String(count === undefined || !isUseful(count)));
    };
    set(removeReplica, many => many > 1);
    set(addReplica, many => many < MAX_REPLICAS);
  }

  private showLink(url: string | undefined): void {
    const isHttp = url !== undefined && /^https?:\/\//.test(url);
    this.link.hidden = !isHttp;
    if (!isHttp) return this.link.removeAttribute('href');
    setText(this.link, url);
    this.link.href = url;
    this.link.target = '_blank';
    this.link.rel = 'noreferrer noopener';
  }
}
