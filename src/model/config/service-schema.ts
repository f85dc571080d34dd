import * as z from 'zod/mini';
import { BANDS } from '../defaults.ts';
import { formatBand } from '../port.ts';
import { VARIABLES } from '../variables.ts';
import {
  described,
  globs,
  milliseconds,
  path,
  port,
  seconds,
  text,
  variableName,
  variableValue,
} from './schema-values.ts';

const command = z.array(text).check(z.minLength(1));
const commandByPlatform = z.strictObject({
  linux: described('On Linux.', command),
  darwin: described('On macOS.', command),
  win32: described('On Windows.', command),
  default: described('On every other system.', command),
});

/** A service of such a name has that band without a word. */
export const BAND_NAMES = ['api', 'orchestrator', 'worker'] as const;

const readiness = z.strictObject({
  http: described('Ready when a GET of this path is answered as expected.', path),
  status: described('The HTTP status to expect; 200 without it.', z.int().check(z.minimum(100), z.maximum(599))),
  expect: described('What the JSON answer must at least hold, such as { "status": "healthy" }.', z.unknown()),
  tcp: described('Ready when the port accepts connections.', z.literal(true)),
  log: described('Ready when a line of output matches this regular expression.', text),
  aliveSeconds: described(
    'Ready when it has run so long; for services that open no port.',
    z.number().check(z.minimum(0), z.maximum(3600)),
  ),
  timeoutSeconds: described('How long it may take to become ready; 60 without it.', seconds),
});

const restart = z.strictObject({
  policy: described(
    'always (the default), on-failure (not after exit code 0), or never.',
    z.enum(['always', 'on-failure', 'never']),
  ),
  initialDelayMs: described('The pause before the first restart; it doubles each time. 250 without it.', milliseconds),
  maxDelayMs: described('The longest pause; 30000 without it.', milliseconds),
  maxExits: described(
    'More exits than this within the window are a crash loop; 5 without it.',
    z.int().check(z.minimum(0)),
  ),
  windowSeconds: described('The window for maxExits; 60 without it.', seconds),
  resetSeconds: described('So long healthy, and earlier exits are forgotten; 30 without it.', seconds),
});

/** One of `services`. */
export const serviceSchema = z.strictObject({
  type: described(
    'process (the default): a command to run. postgres: a PostgreSQL that HELIX finds, reuses or starts.',
    z.enum(['process', 'postgres']),
  ),
  label: described('The name that people see.', text),
  command: described(
    `The program and its arguments, one by one and without a shell, or such a list for each platform. May hold ${VARIABLES}.`,
    z.union([command, commandByPlatform]),
  ),
  cwd: described('Working directory, relative to this file.', text),
  env: described(`Environment variables. Values may hold ${VARIABLES}.`, z.record(variableName, variableValue)),
  port: described(
    `A named band (${BAND_NAMES.map(name => `"${name}" ${formatBand(BANDS[name])}`).join(', ')}), a band { "from": …, "to": … }, ` +
      'one fixed port, or false for none. Without it: the band of its name, or none.',
    z.union([z.enum(BAND_NAMES), z.strictObject({ from: port, to: port }), port, z.literal(false)]),
  ),
  readiness: described('When the service counts as ready: one of http, tcp, log, aliveSeconds.', readiness),
  dependsOn: described('Services that must be ready before this one starts.', z.array(z.string())),
  replicas: described('How many of it run side by side; 1 without it.', z.int().check(z.minimum(1), z.maximum(64))),
  restart: described('What happens when it ends by itself.', restart),
  stopTimeoutSeconds: described('How long SIGINT is given before SIGTERM; 10 without it.', seconds),
  tty: described('It gets the terminal itself rather than a pipe: for debuggers and prompts.', z.boolean()),
  path: described('The page that Open goes to, such as "/docs".', path),
  watch: described(
    'Globs, such as "src/worker/**/*.py": saving a file that matches restarts it, without a gap where that is possible.',
    globs,
  ),
});
