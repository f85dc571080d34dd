import { spawn } from 'node:child_process';
import { messageOf, UserError } from '../base/errors.ts';
import { exposureNotes } from '../model/host.ts';
import type { Plan } from '../model/plan.ts';
import { type ServiceId, type ServiceSnapshot } from '../model/service.ts';
import { claim } from '../run/claim.ts';
import { installAdvice, installText } from '../session/missing-packages.ts';
import { ignoreAdvice } from '../session/ignore-advice.ts';
import { otherPortAdvice } from '../session/other-port-advice.ts';
import { progressText } from '../session/progress-text.ts';
import { pythonOf } from '../session/python.ts';
import type { Stack } from '../session/stack.ts';
import { type ServiceFailure, type StartOutcome, type StartProgress } from '../session/stack.ts';
import { type CliContext, EXIT } from './context.ts';
import { followLogs } from './follow.ts';
import { backgroundLauncher, openStack, publish } from './open-stack.ts';
import { statusLine } from './status-table.ts';
import { Upkeep } from './upkeep.ts';

const KEEPER_CLAIM = '.keeper';

/** When the command was given. A process takes its time to get here, and not the same time as another. */
const GIVEN_AT = performance.timeOrigin;

/** In the foreground it keeps the stack until Ctrl-C; detached it leaves a keeper behind and returns. */
export async function start(context: CliContext): Promise<number> {
  const stack = await openStack(context, { keep: true, launcher: backgroundLauncher });
  const interrupted = onInterrupt();
  const shown = new Set<string>();
  const subscription = stack.onChange(snapshot => {
    for (const service of snapshot.services) showOnceHealthy(context, service, shown);
  });
  for (const service of stack.snapshot.services) showOnceHealthy(context, service, shown);
  const outcome = await stack.start({
    signal: interrupted.signal,
    onProgress: progressTo(context),
    askedAt: GIVEN_AT,
  });
  const code = await conclude(context, stack, outcome);
  const advice = code === EXIT.ok ? await ignoreAdvice(stack.dir, stack.plan.publish.envFile) : undefined;
  if (advice) context.err(`${advice} Add it to .gitignore.`);
  const elsewhere = code === EXIT.ok ? await otherPortAdvice(stack.dir, stack.plan, stack.snapshot) : undefined;
  if (elsewhere) context.err(elsewhere);
  if (code === EXIT.ok && !context.options.detach) return foreground(context, stack, interrupted);
  subscription.dispose();
  stack.dispose();
  if (code === EXIT.ok) spawnKeeper(stack.plan.workspace);
  return code;
}

/** Brings back supervisors that were killed, and sees to the stack's upkeep, until it is stopped. */
export async function keep(context: CliContext): Promise<number> {
  const stack = await openStack(context, { keep: true, launcher: backgroundLauncher });
  do {
    const held = await claim(stack.dir, KEEPER_CLAIM);
    if (!held) break;
    const upkeep = new Upkeep(context, stack);
    await untilAllStopped(stack);
    await upkeep.end();
    await held.release();
    await stack.refresh();
    // The keeper of a start that came meanwhile has found this one, and left the stack to it.
  } while (!isAllStopped(stack));
  stack.dispose();
  return EXIT.ok;
}

export async function stop(context: CliContext): Promise<number> {
  const stack = await openStack(context, { keep: false, launcher: backgroundLauncher });
  const [word] = context.words;
  const outcome = await stack.stop(word === undefined ? undefined : [serviceOf(stack, word).id], GIVEN_AT);
  for (const { id, reason } of outcome.left) context.err(`${id} was left running: ${reason}`);
  await publish(stack);
  stack.dispose();
  return EXIT.ok;
}

export async function restart(context: CliContext): Promise<number> {
  const stack = await openStack(context, { keep: false, launcher: backgroundLauncher });
  const interrupted = onInterrupt();
  const options = { signal: interrupted.signal, onProgress: progressTo(context) };
  const [word] = context.words;
  const outcome = await (word === undefined
    ? stack.restartAll(options)
    : stack.restart(serviceOf(stack, word).id, options));
  const code = await conclude(context, stack, outcome);
  if (code === EXIT.ok) for (const service of stack.snapshot.services) context.out(statusLine(service));
  stack.dispose();
  return code;
}

/** @throws {UserError} naming the services that there are */
export function serviceOf(stack: Stack, word: string): ServiceSnapshot {
  const { services } = stack.snapshot;
  const found = services.find(service => service.id === (word as ServiceId));
  if (!found)
    throw new UserError(`no service ${JSON.stringify(word)}; there are ${services.map(one => one.id).join(', ')}`);
  return found;
}

async function foreground(context: CliContext, stack: Stack, interrupted: AbortController): Promise<number> {
  const upkeep = new Upkeep(context, stack);
  const logs = followLogs(context, stack);
  await Promise.race([untilAllStopped(stack), aborted(interrupted.signal)]);
  const code = interrupted.signal.aborted ? EXIT.interrupted : EXIT.ok;
  if (interrupted.signal.aborted) {
    context.err('stopping');
    await stack.stop();
  }
  await upkeep.end();
  logs.dispose();
  stack.dispose();
  return code;
}

export async function conclude(context: CliContext, stack: Stack, outcome: StartOutcome): Promise<number> {
  await publish(stack).catch((error: unknown) => context.err(messageOf(error)));
  switch (outcome.kind) {
    case 'started':
      for (const note of exposureNotes(outcome.snapshot)) context.err(note);
      return EXIT.ok;
    case 'alreadyRunning':
      return EXIT.ok;
    case 'cancelled':
      return EXIT.interrupted;
    case 'failed':
      for (const { service, problem, skipped } of outcome.failures) {
        context.err(`${service.id} failed: ${problem.message}`);
        for (const line of problem.lastLines) context.err(`    ${line}`);
        if (skipped.length > 0) context.err(`not started because of it: ${skipped.join(', ')}`);
      }
      for (const text of await installTexts(stack.plan, outcome.failures)) context.err(text);
      return EXIT.failed;
  }
}

/** One for all services that miss packages of one environment. */
async function installTexts(plan: Plan, failures: readonly ServiceFailure[]): Promise<ReadonlySet<string>> {
  const all = await Promise.all(
    failures.map(({ service, problem }) => installAdvice({ id: service.id, problem }, plan, pythonOf)),
  );
  const advices = all.filter(advice => advice !== undefined);
  const modules = [...new Set(advices.map(advice => advice.module))];
  return new Set(advices.map(advice => installText(advice, modules)));
}

function showOnceHealthy(context: CliContext, service: ServiceSnapshot, shown: Set<string>): void {
  const line = statusLine(service);
  if (service.state.kind !== 'healthy' || shown.has(line)) return;
  shown.add(line);
  context.out(line);
}

export const progressTo =
  (context: CliContext) =>
  (progress: StartProgress): void =>
    context.progress(progressText(progress));

function untilAllStopped(stack: Stack): Promise<void> {
  return new Promise(resolve => {
    let timer: NodeJS.Timeout | undefined;
    const conclude = async (): Promise<void> => {
      // News of a start may not have been heard yet.
      await stack.refresh();
      if (!isAllStopped(stack)) return;
      subscription.dispose();
      resolve();
    };
    const look = (): void => {
      clearTimeout(timer);
      // A supervisor that was killed is gone for a moment too; it is brought back before this passes.
      if (isAllStopped(stack)) timer = setTimeout(() => void conclude(), 3_000);
    };
    const subscription = stack.onChange(look);
    look();
  });
}

const isAllStopped = ({ snapshot }: Stack): boolean =>
  snapshot.services.every(service => service.supervisorPid === undefined);

function spawnKeeper(workspace: string): void {
  const args = [process.argv[1]!, 'keep', '--folder', workspace];
  spawn(process.execPath, args, { detached: true, stdio: 'ignore' }).unref();
}

/** The first Ctrl-C aborts; the second one ends the process at once, as usual. */
export function onInterrupt(): AbortController {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => controller.abort());
  return controller;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
