import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { UserError } from '../base/errors.ts';
import { POSTGRES_PORT } from '../model/defaults.ts';
import { type ContainerEngine, lastLine } from './container-engine.ts';
import { type Credentials } from './probe.ts';

export interface ContainerOptions {
  readonly engine: ContainerEngine;
  readonly image: string;
  /** The host is a loopback address. */
  readonly credentials: Credentials;
}

/** By which a container is known for one that was made here. */
const SERVICE_LABEL = 'helix-ports.service';
/** Of what it was made with: with something else, it is made anew. */
const SPEC_LABEL = 'helix-ports.spec';
const DATA_FOLDER = '/var/lib/postgresql/data';
/** A server writes its shared buffers out before it goes. */
const STOP_SECONDS = 30;

const containers = z
  .array(
    z.object({
      State: z.object({ Running: z.boolean(), ExitCode: z.number(), StartedAt: z.string() }),
      Config: z.object({ Labels: z.nullish(z.record(z.string(), z.string())) }),
    }),
  )
  .check(z.length(1));

const images = z
  .array(
    z.object({
      Id: z.string(),
      Config: z.object({
        Env: z.nullish(z.array(z.string())),
        Volumes: z.nullish(z.record(z.string(), z.unknown())),
      }),
    }),
  )
  .check(z.length(1));

export interface ContainerState {
  readonly isOurs: boolean;
  readonly isRunning: boolean;
  readonly exitCode: number;
  /** As the engine writes it, and takes it back. */
  readonly startedAt: string;
  readonly spec: string | undefined;
}

/** Where an image keeps its data, and of which PostgreSQL that is. */
interface ImageData {
  /** Another one as soon as the image's name stands for a newer one. */
  readonly id: string;
  readonly folder: string;
  readonly major: string | undefined;
}

/** One per port, whichever workspace asks first, as a server of the other engines is. */
export const containerName = (port: number): string => `helix-postgres-${port}`;

/** The arguments that stop it in order; it, and its data, are kept. */
export const stopArguments = (port: number): readonly string[] => [
  'stop',
  '-t',
  String(STOP_SECONDS),
  containerName(port),
];

/** A PostgreSQL in a container, with its data in a volume of its name. */
export class Container {
  readonly name: string;

  constructor(private readonly options: ContainerOptions) {
    this.name = containerName(options.credentials.port);
  }

  /** Undefined when there is none of this name. */
  async inspect(signal?: AbortSignal): Promise<ContainerState | undefined> {
    const { engine } = this.options;
    const { ok, stdout, stderr } = await engine.call(['container', 'inspect', this.name], { signal });
    if (!ok && /no such container/i.test(stderr)) return undefined;
    if (!ok) throw new UserError(`The container ${this.name} could not be looked at: ${lastLine(stderr)}.`);
    const [one] = containers.parse(JSON.parse(stdout));
    const { State, Config } = one!;
    const labels = Config.Labels ?? {};
    return {
      isOurs: labels[SERVICE_LABEL] === 'postgres',
      isRunning: State.Running,
      exitCode: State.ExitCode,
      startedAt: State.StartedAt,
      spec: labels[SPEC_LABEL],
    };
  }

  /** @throws {UserError} when somebody else's has its name */
  async inspectOurs(signal?: AbortSignal): Promise<ContainerState | undefined> {
    const state = await this.inspect(signal);
    if (!state || state.isOurs) return state;
    throw new UserError(
      `There is a container ${this.name} that HELIX did not make, and it is left alone. Rename it ` +
        `(${this.options.engine.name} rename ${this.name} NEW-NAME), or set POSTGRES_PORT in .env to another port.`,
    );
  }

  /**
   * Has the image here, which takes as long as it takes the first time.
   * @throws {UserError} with the next step when it cannot be had
   */
  async pull(onOutput: (text: string) => void, signal?: AbortSignal): Promise<void> {
    const { engine } = this.options;
    const image = this.image();
    if ((await engine.call(['image', 'inspect', image], { signal })).ok) return;
    onOutput(`Fetching ${image} with ${engine.name}; this happens once\n`);
    const { ok, stderr } = await engine.call(['pull', image], { signal, onOutput, limitMs: 0 });
    if (ok) return;
    throw new UserError(
      `The image ${image} could not be fetched: ${lastLine(stderr)}. Check the network, or set "postgres": { "image": … } ` +
        `in helix.config.json, or helix.postgres.image, to one that is here (${engine.name} image ls).`,
    );
  }

  /** The container of these options, made or kept; not started. Answers the name of the volume with the data. */
  async ensureCreated(signal?: AbortSignal): Promise<string> {
    const { engine, credentials } = this.options;
    const { id, folder, major } = await this.imageData(signal);
    const volume = major === undefined ? this.name : `${this.name}-${major}`;
    const args = this.createArguments(volume, folder);
    const spec = createHash('sha256')
      .update(JSON.stringify([id, ...args]))
      .digest('hex')
      .slice(0, 16);
    const found = await this.inspectOurs(signal);
    if (found?.spec === spec) return volume;
    // Made with another image or role, say. What counts is in the volume, which stays.
    if (found) await engine.call(['rm', '--force', '--volumes', this.name], { signal });
    const labelled = [...args.slice(0, -1), '--label', `${SPEC_LABEL}=${spec}`, args.at(-1)!];
    const { ok, stderr } = await engine.call(labelled, { signal, env: { POSTGRES_PASSWORD: credentials.password } });
    // Two that start at once: the other one's is of the same kind.
    if (ok || (await this.inspectOurs(signal))?.spec === spec) return volume;
    throw new UserError(`The container ${this.name} could not be made: ${lastLine(stderr)}.`);
  }

  private createArguments(volume: string, folder: string): readonly string[] {
    const { host, port, user, database } = this.options.credentials;
    const address = host.includes(':') ? `[${host}]` : host;
    return [
      'create',
      ...['--name', this.name],
      ...['--label', `${SERVICE_LABEL}=postgres`],
      ...['--publish', `${address}:${port}:${POSTGRES_PORT}`],
      ...['--volume', `${volume}:${folder}`],
      ...['--env', `POSTGRES_USER=${user}`],
      ...['--env', `POSTGRES_DB=${database}`],
      // Its value comes from the environment of the call.
      ...['--env', 'POSTGRES_PASSWORD'],
      // Fast shutdown: SIGTERM would wait for every client to go.
      ...['--stop-signal', 'SIGINT'],
      this.image(),
    ];
  }

  /** Docker's own names are short; Podman asks on a terminal which registry is meant. */
  private image(): string {
    const { engine, image } = this.options;
    return engine.name === 'podman' && !image.includes('/') ? `docker.io/library/${image}` : image;
  }

  /** Images from 18 on have it one folder further up than those before. */
  private async imageData(signal?: AbortSignal): Promise<ImageData> {
    const { ok, stdout, stderr } = await this.options.engine.call(['image', 'inspect', this.image()], { signal });
    if (!ok)
      throw new UserError(
        `The image ${this.image()} is not here: ${lastLine(stderr)}. Start HELIX anew to have it fetched.`,
      );
    const [one] = images.parse(JSON.parse(stdout));
    const variables = one!.Config.Env ?? [];
    const valueOf = (name: string): string | undefined =>
      variables.find(one => one.startsWith(`${name}=`))?.slice(name.length + 1);
    const data = valueOf('PGDATA') ?? DATA_FOLDER;
    const volumes = Object.keys(one!.Config.Volumes ?? {});
    const folder = volumes.find(one => data === one || data.startsWith(`${one}/`)) ?? data;
    return { id: one!.Id, folder, major: valueOf('PG_MAJOR') };
  }
}
