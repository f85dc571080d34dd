import type { HelixConfig, ServiceConfig } from './config.ts';

/**
 * A HELIX v2.0 checkout, known by its files. Paths relative to the checkout, with `/`. Many projects have a
 * `src/api/main.py`; only HELIX has an orchestrator or an agent worker beside it.
 */
export const CHECKOUT_FILES = {
  api: 'src/api/main.py',
  orchestrator: 'src/orchestrator/main.py',
  worker: 'src/agents/worker.py',
  launcher: 'start_system.py',
} as const;

export type CheckoutFile = keyof typeof CHECKOUT_FILES;

export const isCheckout = (present: ReadonlySet<CheckoutFile>): boolean =>
  present.has('api') && (present.has('orchestrator') || present.has('worker') || present.has('launcher'));

export interface CheckoutOptions {
  /** What the user's own `PYTHONPATH` is joined to ours with; undefined when the user has none. */
  readonly pythonPathDelimiter?: string | undefined;
}

/**
 * HELIX v2.0's orchestrator and worker open no port; they poll the database. One that cannot even import its packages
 * has ended after this long on a machine that is not overloaded.
 */
const ALIVE_SECONDS = 2;

/** The configuration that the checkout would have written for itself, or undefined when it is none. */
export function checkoutConfig(
  present: ReadonlySet<CheckoutFile>,
  options: CheckoutOptions = {},
): HelixConfig | undefined {
  if (!isCheckout(present)) return undefined;
  const { pythonPathDelimiter } = options;
  // The checkout is no installed package, and a start from elsewhere must find `src` all the same.
  const PYTHONPATH =
    pythonPathDelimiter === undefined
      ? '${workspaceFolder}'
      : `\${workspaceFolder}${pythonPathDelimiter}\${env:PYTHONPATH}`;
  const common = { env: { POSTGRES_PORT: '${port:postgres}', PYTHONPATH }, dependsOn: ['postgres'] };
  const poller = (module: string, portName: string): ServiceConfig => ({
    ...common,
    command: ['${python}', '-m', module],
    env: { [portName]: '${port}', ...common.env },
    readiness: { aliveSeconds: ALIVE_SECONDS },
  });
  return {
    services: {
      postgres: { type: 'postgres' },
      api: {
        ...common,
        command: ['${python}', '-m', 'uvicorn', 'src.api.main:app', '--host', '${host}', '--port', '${port}'],
        env: { API_HOST: '${host}', API_PORT: '${port}', ...common.env },
        readiness: { http: '/api/v1/health', expect: { status: 'healthy' } },
      },
      ...(present.has('orchestrator')
        ? { orchestrator: poller('src.orchestrator.main', 'ORCHESTRATOR_PORT') }
        : undefined),
      ...(present.has('worker') ? { worker: poller('src.agents.worker', 'WORKER_PORT') } : undefined),
    },
  };
}
