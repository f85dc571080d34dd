import { createInterface } from 'node:readline/promises';
import { UserError } from '../base/errors.ts';
import { isPort } from '../model/port.ts';
import { stopHolder, useJson, useText, whoHas } from '../session/who.ts';
import { type CliContext, EXIT, UsageError } from './context.ts';

/** Exit code 0 whether the port is free or not: the question was answered. 1 when it was to be stopped and was not. */
export async function who(context: CliContext): Promise<number> {
  const { json, stop } = context.options;
  const [word] = context.words;
  if (word === undefined) throw new UsageError('who has which port?');
  const port = /^\d+$/.test(word) ? Number(word) : undefined;
  if (!isPort(port)) throw new UsageError(`not a port: ${JSON.stringify(word)} (1 to 65535)`);
  const use = await whoHas(port);
  context.out(json ? JSON.stringify(useJson(use)) : useText(use, Date.now()));
  const isAsked = stop === true || (isTerminal() && !json && use.isOwn);
  if (!isAsked || use.state === 'free') return EXIT.ok;
  if (!use.isOwn) await stopHolder(use);
  if (!(await isAgreed(context))) return EXIT.ok;
  await stopHolder(use);
  context.err(`Stopped. Port ${port} is ${(await whoHas(port)).state}.`);
  return EXIT.ok;
}

const isTerminal = (): boolean => process.stdin.isTTY && process.stderr.isTTY;

async function isAgreed({ options }: CliContext): Promise<boolean> {
  if (options.yes) return true;
  if (!isTerminal()) throw new UserError('nobody can be asked here whether to stop it. Add --yes to say so.');
  const readline = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await readline.question('Stop it? [y/N] ')).trim());
  } finally {
    readline.close();
  }
}
