import * as z from 'zod/mini';
import { BANDS, IMAGE_PATTERN, POSTGRES_IMAGE, PROXY_PORT } from '../defaults.ts';
import { formatBand } from '../port.ts';
import { SERVICE_ID_PATTERN } from '../service.ts';
import { described, globs, port, publishedName, text } from './schema-values.ts';
import { serviceSchema } from './service-schema.ts';

export const publishSchema = z.strictObject({
  envFile: described(
    'The file with the marked block (".env.local" without it), or false for none.',
    z.union([text, z.literal(false)]),
  ),
  names: described(
    'Further variables by name, such as "VITE_HELIX_API_URL": "${url:api}". May hold ${url:ID} and ${port:ID}.',
    z.record(publishedName, z.string()),
  ),
  settings: described('Keep helix.apiUrl in the workspace settings.', z.boolean()),
  keepOnStop: described('Leave what was published when the services stop.', z.boolean()),
});

export const proxySchema = z.strictObject({
  enabled: described('Run a proxy, so that the API has one address whatever its port.', z.boolean()),
  engine: described('embedded (the default, nothing to install) or nginx.', z.enum(['embedded', 'nginx'])),
  port: described(
    `The address; ${PROXY_PORT} without it, or one of ${formatBand(BANDS.proxy)} when that is taken.`,
    port,
  ),
  strict: described('Fail rather than take another port.', z.boolean()),
  drainSeconds: described(
    'How long requests and streams of a process that is being replaced may go on; 30 without it.',
    z.number().check(z.minimum(0), z.maximum(3600)),
  ),
  origins: described(
    'Further pages that may call the API from a browser, such as "http://localhost:5173", "${url:web}", or "null" for files.',
    z.array(text),
  ),
  watch: described('Globs, such as "src/**/*.py": saving a file that matches replaces the API without a gap.', globs),
});

const postgresSchema = z.strictObject({
  engine: described(
    'Where a PostgreSQL comes from when none answers: auto (the default), system, embedded, docker, or external (never start one).',
    z.enum(['auto', 'system', 'embedded', 'docker', 'external']),
  ),
  image: described(
    `The image of the engine docker; ${POSTGRES_IMAGE} without it.`,
    z.string().check(z.regex(IMAGE_PATTERN, 'is not the name of an image, such as "postgres:16"')),
  ),
});

/** The whole file: what is checked, and with its descriptions what the editor completes and explains. */
export const configSchema = z.strictObject({
  $schema: described('The JSON schema of this file, for editors that need to be told.', z.string()),
  services: z
    .record(
      z
        .string()
        .check(z.regex(SERVICE_ID_PATTERN, 'is not a service id: a-z, 0-9 and -, beginning with a letter, at most 31')),
      serviceSchema,
    )
    .check(
      z.describe('The services of this workspace by id.'),
      z.refine(ids => Object.keys(ids).length > 0, 'is empty; it needs at least one service'),
    ),
  publish: described('What is told to programs, and where.', publishSchema),
  proxy: described('The stable address in front of the API.', proxySchema),
  postgres: described('How the service of type postgres is found or started.', postgresSchema),
});

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

export type HelixConfig = DeepReadonly<z.output<typeof configSchema>>;
export type ServiceConfig = HelixConfig['services'][string];

/** The JSON schema of the file (draft 7, which VS Code's JSON editor knows whole). */
export const configJsonSchema = (): object => z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
