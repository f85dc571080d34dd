import { parseArgs } from 'node:util';
import { version } from '../package.json';
import { codeOf, messageOf, UserError } from './base/errors.ts';
import { Console } from './cli/console.ts';
import { EXIT, type CliContext, UsageError } from './cli/context.ts';
import { find } from './cli/find.ts';
import { HELP } from './cli/help.ts';

/** Options of all commands; each command says which of them it knows. */
const OPTIONS = {
  folder: { type: 'string', short: 'C' },
  detach: { type: 'boolean', short: 'd' },
  json: { type: 'boolean' },
  csv: { type: 'boolean' },
  watch: { type: 'boolean', short: 'w' },
  follow: { type: 'boolean', short: 'f' },
  lines: { type: 'string', short: 'n' },
  yes: { type: 'boolean', short: 'y' },
  effective: { type: 'boolean', short: 'e' },
  stop: { type: 'boolean' },
  rolling: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

export type Options = ReturnType<typeof parse>['values'];

interface Command {
  readonly options: readonly (keyof typeof OPTIONS)[];
  readonly maxWords: number;
  /** Answers the exit code. Loaded when it is needed: `find` must not pay for the others. */
  readonly run: (context: CliContext) => Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  find: { options: [], maxWords: 3, run: find },
  start: {
    options: ['folder', 'detach', 'yes'],
    maxWords: 0,
    run: async context => (await import('./cli/stack-commands.ts')).start(context),
  },
  stop: {
    options: ['folder'],
    maxWords: 1,
    run: async context => (await import('./cli/stack-commands.ts')).stop(context),
  },
  restart: {
    options: ['folder', 'rolling'],
    maxWords: 1,
    run: async context =>
      context.options.rolling
        ? (await import('./cli/scale-commands.ts')).rollingRestart(context)
        : (await import('./cli/stack-commands.ts')).restart(context),
  },
  scale: {
    options: ['folder'],
    maxWords: 2,
    run: async context => (await import('./cli/scale-commands.ts')).scale(context),
  },
  status: {
    options: ['folder', 'json', 'watch'],
    maxWords: 0,
    run: async context => (await import('./cli/status.ts')).status(context),
  },
  url: {
    options: ['folder'],
    maxWords: 1,
    run: async context => (await import('./cli/look-commands.ts')).url(context),
  },
  logs: {
    options: ['folder', 'follow', 'lines'],
    maxWords: 1,
    run: async context => (await import('./cli/look-commands.ts')).logs(context),
  },
  verify: {
    options: ['folder', 'json', 'yes'],
    maxWords: 0,
    run: async context => (await import('./cli/verify.ts')).verify(context),
  },
  dashboard: {
    options: ['folder'],
    maxWords: 0,
    run: async context => (await import('./cli/dashboard.ts')).dashboard(context),
  },
  history: {
    options: ['folder', 'json', 'csv'],
    maxWords: 1,
    run: async context => (await import('./cli/history.ts')).history(context),
  },
  env: {
    options: ['folder', 'effective', 'json'],
    maxWords: 1,
    run: async context => (await import('./cli/look-commands.ts')).env(context),
  },
  who: {
    options: ['json', 'stop', 'yes'],
    maxWords: 1,
    run: async context => (await import('./cli/who.ts')).who(context),
  },
  doctor: {
    options: ['folder', 'json'],
    maxWords: 0,
    run: async context => (await import('./cli/doctor.ts')).doctor(context),
  },
  /** Internal: what `start --detach` leaves behind to bring back supervisors that were killed. */
  keep: {
    options: ['folder'],
    maxWords: 0,
    run: async context => (await import('./cli/stack-commands.ts')).keep(context),
  },
};

const parse = (args: readonly string[]) =>
  parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true });

async function main(args: readonly string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    return refuse(messageOf(error));
  }
  const [name, ...words] = parsed.positionals;
  if (parsed.values.version) return print(version);
  if (parsed.values.help || name === 'help') return print(HELP);
  if (name === undefined) return refuse('which command?');
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) return refuse(`unknown command: ${name}`);
  const unknown = Object.keys(parsed.values).find(option => !(command.options as readonly string[]).includes(option));
  if (unknown) return refuse(`${name} has no option --${unknown}`);
  if (words.length > command.maxWords)
    return refuse(`${name}: too many arguments: ${words.slice(command.maxWords).join(' ')}`);
  const { out, err, progress } = terminal;
  return command.run({ words, options: parsed.values, out, err, progress });
}

const terminal = new Console(process.stdout, process.stderr);

function print(text: string): number {
  terminal.out(text);
  return EXIT.ok;
}

function refuse(message: string): number {
  terminal.err(`helix-ports: ${message}\nTry 'helix-ports --help'.`);
  return EXIT.usage;
}

function explain(error: unknown): number {
  if (error instanceof UsageError) return refuse(error.message);
  const text = error instanceof UserError ? error.message : error instanceof Error ? error.stack : String(error);
  terminal.err(`helix-ports: ${text}`);
  return error instanceof UserError ? EXIT.failed : EXIT.defect;
}

// `helix-ports status | head` closes the pipe: that is no error of ours.
process.stdout.on('error', error => process.exit(codeOf(error) === 'EPIPE' ? EXIT.ok : EXIT.failed));
process.stderr.on('error', () => undefined);

/** What a command that failed has left open (connections, watchers) must not keep the process. */
function endWith(code: number): void {
  terminal.done();
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

main(process.argv.slice(2)).then(
  code => {
    terminal.done();
    process.exitCode = code;
  },
  (error: unknown) => endWith(explain(error)),
);
