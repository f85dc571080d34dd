import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { UserError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { publishedValues } from '../model/publication.ts';
import { publishEnvFile } from '../publish/publish-env-file.ts';
import { withoutCertificates } from '../run/certificates.ts';
import { stateHome } from '../run/runtime-dir.ts';
import { loadPlan } from '../session/load-plan.ts';
import { postgresService } from '../session/postgres-service.ts';
import { type Launcher, Stack } from '../session/stack.ts';
import type { CliContext } from './context.ts';

/** Where the built programs are: beside this one. */
const DIST = __dirname;

export interface OpenOptions {
  readonly keep: boolean;
  readonly launcher: Launcher;
}

/** The stack of the folder that the command line names, connected to what runs. */
export async function openStack(context: CliContext, options: OpenOptions): Promise<Stack> {
  const folder = context.options.folder ?? process.cwd();
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UserError(`${folder} is not a folder. Name the workspace's folder with --folder.`);
  }
  const plan = await loadPlan(folder);
  if (!plan) {
    throw new UserError(
      `no HELIX in ${folder}: neither helix.config.json nor a HELIX v2.0 checkout. Name the folder with --folder.`,
    );
  }
  const postgres = postgresService({
    program: join(DIST, 'postgres.cjs'),
    embeddedRoots: [join(stateHome(), 'fetched'), join(DIST, '..')],
    mayFetch: embedded => confirm(context, `PostgreSQL is not installed. Fetch ${embedded.name} (24 MB) with npm?`),
    onFetchOutput: text => context.err(text.trimEnd()),
  });
  const stack = new Stack({
    plan,
    postgres,
    proxyProgram: join(DIST, 'proxy.cjs'),
    launcher: options.launcher,
    keep: options.keep,
    logger: cliLogger(context),
  });
  await stack.connect();
  return stack;
}

/** Keeps `.env.local` right for as long as this process looks on; settings are the editor's. */
export async function publish(stack: Stack): Promise<void> {
  const { plan, snapshot, dir } = stack;
  const values = publishedValues(snapshot, plan.publish);
  if (values.size === 0 && plan.publish.keepOnStop) return;
  await publishEnvFile(dir, plan.publish.envFile, values);
}

/** Supervisors as processes of their own session: they outlive the command line. */
export const backgroundLauncher: Launcher = {
  launch: (_service, args) => {
    const child = spawn(process.execPath, [join(DIST, 'supervisor.cjs'), ...args], {
      detached: true,
      stdio: 'ignore',
      env: withoutCertificates(process.env),
    });
    child.unref();
    // `close` follows a failed spawn as well.
    const ended = new Promise<void>(resolve => child.once('close', () => resolve()).once('error', () => resolve()));
    return Promise.resolve({ ended });
  },
};

/** Asks on a terminal; in a pipe only `--yes` is a yes. */
export async function confirm(context: CliContext, question: string): Promise<boolean> {
  if (context.options.yes) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    context.err(`${question} Call again with --yes to allow it.`);
    return false;
  }
  const readline = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await readline.question(`${question} [y/N] `)).trim());
  } finally {
    readline.close();
  }
}

function cliLogger(context: CliContext): Logger {
  return {
    debug() {},
    info: message => context.err(message),
    warn: message => context.err(message),
    error: (message, cause) =>
      context.err(cause instanceof Error ? `${message}: ${cause.stack ?? cause.message}` : message),
  };
}
