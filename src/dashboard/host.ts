import type { FromPage, ToPage } from '../model/dashboard.ts';

/** What the page keeps of itself while it is hidden, and over a reload. */
export interface ViewState {
  readonly key?: string;
  readonly tab?: string;
  readonly windowMinutes?: number;
  /** The port that had the focus last in each band, by the band's first port. */
  readonly ports?: Readonly<Record<string, number>>;
}

/** Where the page's data comes from: the editor it is a webview of, or the command line that serves it. */
export interface Host {
  send(message: FromPage): void;
  readonly state: ViewState;
  keep(state: ViewState): void;
}

export interface HostEvents {
  onMessage(message: ToPage): void;
  /** Whether anybody tells us anything now. */
  onConnection(connected: boolean): void;
}

interface EditorApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare global {
  /** There in a webview alone. */
  var acquireVsCodeApi: (() => EditorApi) | undefined;
}

export const connectHost = (events: HostEvents): Host =>
  typeof acquireVsCodeApi === 'function' ? editorHost(acquireVsCodeApi(), events) : servedHost(events);

/** The editor takes the page away while it is hidden, and so needs no word from it. */
function editorHost(api: EditorApi, events: HostEvents): Host {
  window.addEventListener('message', event => events.onMessage(event.data as ToPage));
  events.onConnection(true);
  return {
    send: message => api.postMessage(message),
    get state() {
      return (api.getState() ?? {}) as ViewState;
    },
    keep: state => api.setState(state),
  };
}

const STATE = 'helix-dashboard';

/** Listens only while the page is visible: for a hidden tab nothing runs here, in the server, or in the supervisors. */
function servedHost(events: HostEvents): Host {
  let source: EventSource | undefined;
  const follow = (): void => {
    source?.close();
    source = undefined;
    if (document.hidden) return;
    source = new EventSource('events');
    source.onopen = () => events.onConnection(true);
    source.onerror = () => events.onConnection(false);
    source.onmessage = event => events.onMessage(JSON.parse(String(event.data)) as ToPage);
  };
  document.addEventListener('visibilitychange', follow);
  return {
    send: message => {
      if (message.kind === 'ready') follow();
    },
    get state() {
      return JSON.parse(sessionStorage.getItem(STATE) ?? '{}') as ViewState;
    },
    keep: state => sessionStorage.setItem(STATE, JSON.stringify(state)),
  };
}
