import { askLease } from '../ports/lease.ts';
import { loopbackOf, type PostgresConfig } from '../postgres/config.ts';
import { ContainerEngine } from '../postgres/container-engine.ts';
import { Container, stopArguments } from '../postgres/container.ts';

/** A holder on a machine under load answers late. */
const BUSY_HOLDER_MS = 1_000;

export interface ContainerProgress {
  readonly onOutput: (text: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Looks whether a container can be had, and changes nothing.
 * @throws {UserError} with the next step when there is no engine, no daemon, or somebody else's container in the way
 */
export async function findContainer(
  config: PostgresConfig,
  signal?: AbortSignal,
): Promise<{ readonly engine: ContainerEngine; readonly container: Container }> {
  const engine = await ContainerEngine.find();
  await engine.assertReachable(signal);
  const container = containerOf(engine, config);
  await container.inspectOurs(signal);
  return { engine, container };
}

/**
 * All that takes long, or can fail for reasons of its own, before a supervisor is there: the configuration that it gets.
 * @throws {UserError} as `findContainer`, or when the image cannot be fetched
 */
export async function prepareContainer(config: PostgresConfig, progress: ContainerProgress): Promise<PostgresConfig> {
  const { engine, container } = await findContainer(config, progress.signal);
  await container.pull(progress.onOutput, progress.signal);
  return { ...config, docker: { image: config.docker!.image, program: engine.program } };
}

/**
 * A container of ours that nobody looks after, because all who did were killed, is stopped: its next supervisor starts
 * it again, and on its data. One that a workspace looks after, this one or another, is left alone.
 */
export async function settleContainer(config: PostgresConfig, { onOutput, signal }: ContainerProgress): Promise<void> {
  if ((await askLease(config.port, BUSY_HOLDER_MS)) !== 'free') return;
  // Where there is no engine there is no container of ours: another server may be there to be reused.
  const engine = await ContainerEngine.find().catch(() => undefined);
  if (!engine) return;
  const container = containerOf(engine, config);
  const state = await container.inspect(signal).catch(() => undefined);
  if (!state?.isOurs || !state.isRunning) return;
  onOutput(`Stopping the container ${container.name} that a killed run left behind\n`);
  await engine.call(stopArguments(config.port), { limitMs: 0 });
}

function containerOf(engine: ContainerEngine, config: PostgresConfig): Container {
  const credentials = { ...config, host: loopbackOf(config.host) ?? '127.0.0.1' };
  return new Container({ engine, image: config.docker!.image, credentials });
}
