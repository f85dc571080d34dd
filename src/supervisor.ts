import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from './base/async.ts';
import { messageOf } from './base/errors.ts';
import { FAULT_VARIABLE, faultPoint } from './base/fault.ts';
import { userName } from './base/user.ts';
import { isRunning, type ServiceId, toServiceId } from './model/service.ts';
import { Attendance, GRACE_MS } from './run/attendance.ts';
import { withCertificates } from './run/certificates.ts';
import { loadExeca } from './run/child.ts';
import { claim, type Claim, isClaimed } from './run/claim.ts';
import { ControlServer } from './run/control-server.ts';
import { OutputLog } from './run/output.ts';
import { recordedServices, runMarker } from './run/record.ts';
import { identify } from './run/processes.ts';
import { Supervisor } from './run/supervisor.ts';

/**
 * The program in each service's terminal: `supervisor --dir DIR --service ID [--editor]`. It claims the service, waits for a
 * client to say what to run, and from then on needs no client.
 *
 * Exit codes: 0 done or nothing to do, 1 no client came, 2 wrong arguments, 70 a defect of ours.
 */
const FIRST_CLIENT_MS = 60_000;
const REACHABLE_MS = 5_000;

/** Written by the supervisor itself rather than by the service: dimmed, so that the service's own lines stand out. */
const say = (line: string): void => {
  process.stdout.write(process.stdout.isTTY ? `\x1b[2m[helix] ${line}\x1b[22m\r\n` : `[helix] ${line}\n`);
};

function serviceEnvironment(): NodeJS.ProcessEnv {
  const env = withCertificates(process.env);
  delete env['ELECTRON_RUN_AS_NODE'];
  delete env[FAULT_VARIABLE];
  // Through a pipe a program believes that nobody looks; the terminal behind it shows colours and wants lines at once.
  if (process.stdout.isTTY && env['NO_COLOR'] === undefined) env['FORCE_COLOR'] ??= '1';
  env['PYTHONUNBUFFERED'] ??= '1';
  return env;
}

/** Tests cannot wait for minutes. */
function graceMs(): number {
  return Number(process.env['HELIX_PORTS_GRACE_MS'] ?? GRACE_MS);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { dir: { type: 'string' }, service: { type: 'string' }, editor: { type: 'boolean' } },
  });
  if (!values.dir || !values.service) {
    process.stderr.write('usage: supervisor --dir DIR --service ID [--editor]\n');
    process.exit(2);
  }
  // A terminal that is gone must not take the service's orderly end down with it.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  await supervise(values.dir, toServiceId(values.service), values.editor ?? false);
}

async function supervise(dir: string, id: ServiceId, inEditor: boolean): Promise<void> {
  const self = (await identify(process.pid)) ?? { pid: process.pid, startedAt: '' };
  const output = new OutputLog(join(dir, `${id}.log`));
  const supervisor = new Supervisor(id, {
    dir,
    self,
    output,
    say,
    marker: runMarker(dir, id),
    user: userName(),
    onOutput: chunk => process.stdout.write(chunk),
    environment: serviceEnvironment(),
  });

  let held = undefined as Claim | undefined;
  let leaving = false;
  const leave = async (code: number, envFile?: string): Promise<void> => {
    if (leaving) return;
    leaving = true;
    await supervisor.close();
    await held?.release();
    if (envFile !== undefined) await takeBack(dir, envFile).catch((error: unknown) => say(messageOf(error)));
    output.dispose();
    process.exit(code);
  };
  process.on('uncaughtException', error => {
    say(`defect: ${error.stack ?? error.message}`);
    void leave(70);
  });
  process.on('unhandledRejection', reason => {
    say(`defect: ${reason instanceof Error ? (reason.stack ?? reason.message) : messageOf(reason)}`);
    void leave(70);
  });
  // Closing the terminal and ending the supervisor mean the same as Stop.
  process.on('SIGHUP', () => void leave(0));
  process.on('SIGTERM', () => void leave(0));
  process.on('SIGINT', () => void interrupt());

  const interrupt = async (): Promise<void> => {
    if (!isRunning(supervisor.snapshot.state)) return leave(0);
    say('stopping (Ctrl-C)');
    await supervisor.stop();
    say('stopped. Enter starts it again, Ctrl-C closes this terminal.');
  };

  const desert = (envFile: string | undefined): void => {
    say('the extension was disabled or uninstalled; closing');
    void leave(0, envFile);
  };
  const attendance = inEditor ? new Attendance(desert, systemClock, graceMs()) : undefined;
  const control = new ControlServer(supervisor, output, () => leave(0), attendance);
  held = await claim(dir, id, socket => control.accept(socket));
  if (!held) {
    say(`${id} of this workspace is run by another supervisor already`);
    process.exit(0);
  }
  faultPoint('supervisor.claimed');
  // A client sees the claim a moment later than we do.
  setImmediate(() => void loadExeca());
  // A terminal that the editor brought back after a restart finds nobody who tells it what to run.
  setTimeout(() => {
    if (control.wasUsed) return;
    say('no editor or command line asked for anything; closing');
    void leave(1);
  }, FIRST_CLIENT_MS).unref();
  setInterval(() => {
    if (held?.isReachable()) return;
    say('its state folder was removed, so that nobody can reach it; closing');
    void leave(1);
  }, REACHABLE_MS).unref();
  if (process.stdin.isTTY) {
    process.stdin.on('data', () => supervisor.startAgain());
    process.stdin.on('error', () => undefined);
  }
}

/** What the editor had published. Nobody but the last one out is left to do it: it has let go of its claim by now. */
async function takeBack(dir: string, envFile: string): Promise<void> {
  for (const id of await recordedServices(dir)) if (await isClaimed(dir, id)) return;
  const { publishEnvFile } = await import('./publish/publish-env-file.ts');
  await publishEnvFile(dir, envFile, new Map());
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(70);
});
