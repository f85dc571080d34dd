import { UserError } from '../base/errors.ts';
import { effectiveText } from '../model/effective-env.ts';
import { FRONTED_ID, stableUrlOf } from '../model/front.ts';
import { publishedValues } from '../model/publication.ts';
import { effectiveEnvironmentOf } from '../session/effective-env.ts';
import { type CliContext, EXIT, UsageError } from './context.ts';
import { followLog, printLog } from './follow.ts';
import { untilInterrupted } from './interrupt.ts';
import { backgroundLauncher, openStack } from './open-stack.ts';
import { serviceOf } from './stack-commands.ts';
import type { Stack } from '../session/stack.ts';

const look = (context: CliContext): Promise<Stack> => openStack(context, { keep: false, launcher: backgroundLauncher });

export async function url(context: CliContext): Promise<number> {
  const stack = await look(context);
  const [word] = context.words;
  const service = serviceOf(stack, word ?? FRONTED_ID);
  const { services } = stack.snapshot;
  stack.dispose();
  // A service that is named is that service; without a name it is the way to the API, whatever its port.
  const address = word === undefined ? stableUrlOf(services, service.id) : service.url;
  if (!address) throw new UserError(`${service.id} has no address: it is ${service.state.kind}`);
  context.out(address);
  return EXIT.ok;
}

export async function env(context: CliContext): Promise<number> {
  const { effective, json } = context.options;
  if (effective) return effectiveEnv(context);
  if (json || context.words.length > 0) throw new UsageError('env: a service and --json go with --effective');
  const stack = await look(context);
  const values = publishedValues(stack.snapshot, stack.plan.publish);
  stack.dispose();
  for (const [name, value] of values) context.out(`${name}=${value}`);
  return EXIT.ok;
}

async function effectiveEnv(context: CliContext): Promise<number> {
  const stack = await look(context);
  const [word] = context.words;
  const ids = word === undefined ? stack.plan.services.map(one => one.id) : [serviceOf(stack, word).id];
  const options = { plan: stack.plan, stack: stack.snapshot, env: process.env };
  const all = [];
  for (const service of stack.plan.services.filter(one => ids.includes(one.id))) {
    all.push({ service: service.id, label: service.label, variables: await effectiveEnvironmentOf(service, options) });
  }
  stack.dispose();
  if (context.options.json) context.out(JSON.stringify(all));
  else context.out(all.map(one => `# ${one.label}\n${effectiveText(one.variables)}`).join('\n\n'));
  return EXIT.ok;
}

export async function logs(context: CliContext): Promise<number> {
  const [word] = context.words;
  if (word === undefined) throw new UsageError('logs of which service?');
  const lines = readLines(context.options.lines);
  const stack = await look(context);
  const { id } = serviceOf(stack, word);
  const file = stack.logFile(id);
  const position = await printLog(context, file, lines);
  stack.dispose();
  if (!context.options.follow) return EXIT.ok;
  followLog(file, text => process.stdout.write(text), position);
  return untilInterrupted();
}

function readLines(text: string | undefined): number {
  if (text === undefined) return 100;
  const lines = Number(text);
  if (!Number.isInteger(lines) || lines < 0)
    throw new UsageError(`--lines must be a whole number, not ${JSON.stringify(text)}`);
  return lines;
}
