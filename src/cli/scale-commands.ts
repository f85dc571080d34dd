import { isRunning } from '../model/service.ts';
import { groupOf } from '../model/replicas.ts';
import { type CliContext, EXIT, UsageError } from './context.ts';
import { backgroundLauncher, openStack } from './open-stack.ts';
import { conclude, onInterrupt, progressTo, serviceOf } from './stack-commands.ts';
import { statusLine } from './status-table.ts';

/** Restarts a service, or all that run, without a gap. What cannot have that is restarted plainly, and it is said why. */
export async function rollingRestart(context: CliContext): Promise<number> {
  const stack = await openStack(context, { keep: false, launcher: backgroundLauncher });
  const options = { signal: onInterrupt().signal, onProgress: progressTo(context) };
  try {
    const [word] = context.words;
    if (word === undefined) throw new UsageError('restart --rolling: of which service?');
    const { outcome, notes } = await stack.roll(serviceOf(stack, word).id, options);
    for (const note of notes) context.err(note);
    const code = await conclude(context, stack, outcome);
    if (code === EXIT.ok) for (const service of stack.snapshot.services) context.out(statusLine(service));
    return code;
  } finally {
    stack.dispose();
  }
}

/** `scale SERVICE N`: so many of it from now on. */
export async function scale(context: CliContext): Promise<number> {
  const [word, count] = context.words;
  if (word === undefined || count === undefined) throw new UsageError('scale: which service, and how many?');
  if (!/^\d+$/.test(count)) throw new UsageError(`scale: not a number: ${count}`);
  const stack = await openStack(context, { keep: false, launcher: backgroundLauncher });
  const options = { signal: onInterrupt().signal, onProgress: progressTo(context) };
  try {
    const { id } = serviceOf(stack, word);
    const outcome = await stack.scale(id, Number(count), options);
    const code = await conclude(context, stack, outcome);
    const group = stack.snapshot.services.filter(service => groupOf(service) === id);
    if (code === EXIT.ok) for (const service of group) context.out(statusLine(service));
    if (!group.some(({ state }) => isRunning(state)))
      context.err(`${id} does not run; it will be ${count} when it is started`);
    return code;
  } finally {
    stack.dispose();
  }
}
