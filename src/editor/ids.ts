/** Every command, view and context key by name. A test holds package.json against this list. */
export const COMMANDS = {
  start: 'helix.start',
  stopAll: 'helix.stopAll',
  restartAll: 'helix.restartAll',
  startService: 'helix.startService',
  stopService: 'helix.stopService',
  restartService: 'helix.restartService',
  rollingRestart: 'helix.rollingRestart',
  useEmbeddedEngine: 'helix.useEmbeddedEngine',
  addReplica: 'helix.addReplica',
  removeReplica: 'helix.removeReplica',
  openService: 'helix.openService',
  openApi: 'helix.openApi',
  openApiDocs: 'helix.openApiDocs',
  copyUrl: 'helix.copyUrl',
  showTerminal: 'helix.showTerminal',
  showLog: 'helix.showLog',
  openDashboard: 'helix.openDashboard',
  showEnvironment: 'helix.showEnvironment',
  verify: 'helix.verify',
  exportHistory: 'helix.exportHistory',
  openDemo: 'helix.openDemo',
  whoHasPort: 'helix.whoHasPort',
  diagnose: 'helix.diagnose',
  createConfig: 'helix.createConfig',
  addPortDiscovery: 'helix.addPortDiscovery',
} as const;

export const VIEW_SERVICES = 'helix.services';
/** The dashboards' webviews. */
export const PANEL_DASHBOARD = 'helix.dashboard';
export const VIEW_CONTAINER = 'helix';

export const CONTEXT_KEYS = {
  /** The folders have been looked at; until then nothing is said about them. */
  loaded: 'helix.loaded',
  /** Some workspace folder has a HELIX. */
  available: 'helix.available',
  /** Some service runs, or is on its way. */
  running: 'helix.running',
  /** Something is left to start. */
  startable: 'helix.startable',
  /** The API can be opened. */
  apiReady: 'helix.apiReady',
} as const;

/** `contextValue` of a tree row: words that `when` clauses look for. */
export const ROW = { service: 'service', fact: 'fact', folder: 'folder' } as const;
