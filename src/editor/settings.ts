import * as vscode from 'vscode';
import * as z from 'zod/mini';
import { UserError } from '../base/errors.ts';
import { IMAGE_PATTERN } from '../model/defaults.ts';
import { type PlanSettings } from '../session/load-plan.ts';

/** Every setting that is read, with what it must be and how that is said. Defaults stand in package.json. */
const SETTINGS = {
  'publish.envFile': { schema: z.string(), must: 'a file name such as ".env.local", or "" for none' },
  'publish.names': {
    schema: z.record(z.string(), z.string()),
    must: 'an object of names and templates such as { "VITE_HELIX_API_URL": "${url:api}" }',
  },
  'publish.settings': { schema: z.boolean(), must: 'true or false' },
  'publish.keepOnStop': { schema: z.boolean(), must: 'true or false' },
  python: { schema: z.string(), must: 'an interpreter, the folder of an environment, or "" to have one found' },
  'proxy.enabled': { schema: z.boolean(), must: 'true or false' },
  'proxy.engine': { schema: z.enum(['embedded', 'nginx']), must: '"embedded" or "nginx"' },
  'proxy.nginxPath': { schema: z.string(), must: 'the path of an nginx, or "" for the one on the PATH' },
  'proxy.drainSeconds': {
    schema: z.number().check(z.minimum(0), z.maximum(3600)),
    must: 'a number of seconds up to 3600',
  },
  'postgres.engine': {
    schema: z.enum(['auto', 'system', 'embedded', 'docker', 'external']),
    must: '"auto", "system", "embedded", "docker" or "external"',
  },
  'postgres.image': {
    schema: z.string().check(z.regex(IMAGE_PATTERN)),
    must: 'the name of an image such as "postgres:16"',
  },
} as const;

type Name = keyof typeof SETTINGS;
type Value<N extends Name> = z.infer<(typeof SETTINGS)[N]['schema']>;

function read<N extends Name>(folder: vscode.WorkspaceFolder, name: N): Value<N> {
  const value: unknown = vscode.workspace.getConfiguration('helix', folder.uri).get(name);
  const parsed = SETTINGS[name].schema.safeParse(value);
  if (parsed.success) return parsed.data as Value<N>;
  throw new UserError(`The setting helix.${name} is ${JSON.stringify(value)}, but must be ${SETTINGS[name].must}.`, {
    action: {
      label: 'Open settings',
      kind: 'command',
      command: 'workbench.action.openSettings',
      args: [`helix.${name}`],
    },
  });
}

/** The setting that names the Python; empty for none. @throws {UserError} when it is of the wrong type */
export const pythonSetting = (folder: vscode.WorkspaceFolder): string => read(folder, 'python');

/** The settings that shape a folder's plan. @throws {UserError} naming the one of the wrong type. */
export const planSettings = (folder: vscode.WorkspaceFolder): PlanSettings => ({
  envFile: read(folder, 'publish.envFile'),
  names: read(folder, 'publish.names'),
  publishSettings: read(folder, 'publish.settings'),
  keepOnStop: read(folder, 'publish.keepOnStop'),
  postgresEngine: read(folder, 'postgres.engine'),
  postgresImage: read(folder, 'postgres.image'),
  proxy: {
    enabled: read(folder, 'proxy.enabled'),
    engine: read(folder, 'proxy.engine'),
    nginxPath: read(folder, 'proxy.nginxPath'),
    drainSeconds: read(folder, 'proxy.drainSeconds'),
  },
});
