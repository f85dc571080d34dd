import { CancelledError, UserError, isCancelled, messageOf } from './base/errors.ts';
import { prepareCluster } from './postgres/cluster.ts';
import { type PostgresConfig, readPostgresConfig } from './postgres/config.ts';
import { areUnchanged, type Engine, findEngines } from './postgres/engines.ts';
import { runContainer } from './postgres/run-container.ts';
import { AddressInUseError, type ServerExit, runServer } from './postgres/server.ts';

/**
 * The program behind the `postgres` service: makes the workspace's own PostgreSQL and runs it in the foreground.
 *
 * Environment: `HELIX_POSTGRES` (JSON: host, port, user, database, dataRoot, preference, embeddedRoots, engines, docker) and
 * `POSTGRES_PASSWORD`. Ends with the server's own code, 128 + n for its signal n, or:
 */
const EXIT = {
  /** Asked to stop (SIGINT, SIGTERM, SIGHUP), and stopped. */
  stopped: 0,
  /** Could not start, or the server ended by itself. */
  failed: 1,
  /** HELIX_POSTGRES or POSTGRES_PASSWORD is wrong: starting again does not help. */
  configuration: 2,
  /** The port or the data folder is in use; `EADDRINUSE` is printed. */
  addressInUse: 3,
} as const;

const SIGNAL_NUMBERS: Partial<Record<NodeJS.Signals, number>> = { SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11 };

const tell = (line: string): void => console.log(line);

async function main(signal: AbortSignal): Promise<number> {
  let config;
  try {
    config = readPostgresConfig(process.env);
  } catch (error) {
    console.error(messageOf(error));
    return EXIT.configuration;
  }
  if (config.docker) return exitCodeOf(await runContainer({ config, tell, signal }), signal.aborted);
  const engines = await enginesOf(config);
  if (signal.aborted) throw new CancelledError();
  const cluster = await prepareCluster({ ...config, engines, tell, signal });
  const { engine, dataDir } = cluster;
  tell(`Starting PostgreSQL ${engine.version} (${engine.binDir}) with the data in ${dataDir}`);
  return exitCodeOf(await runServer({ config, cluster, tell, signal }), signal.aborted);
}

/** Whoever starts this has looked for engines a moment ago; much later they may have been updated or removed. */
async function enginesOf(config: PostgresConfig): Promise<readonly Engine[]> {
  const { engines = [] } = config;
  return engines.length > 0 && (await areUnchanged(engines)) ? engines : findEngines(config);
}

function exitCodeOf({ code, signal }: ServerExit, asked: boolean): number {
  if (code !== null) return asked ? code : code || EXIT.failed;
  return 128 + (SIGNAL_NUMBERS[signal ?? 'SIGKILL'] ?? 15);
}

const stop = new AbortController();
// SIGHUP is what a closed terminal sends; to the server it would only mean "read your configuration again".
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());

void main(stop.signal)
  .catch((error: unknown) => {
    if (isCancelled(error) || stop.signal.aborted) return EXIT.stopped;
    console.error(error instanceof UserError ? error.message : error);
    return error instanceof AddressInUseError ? EXIT.addressInUse : EXIT.failed;
  })
  .then(code => process.exit(code));
