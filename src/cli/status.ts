import type { StackSnapshot } from '../model/service.ts';
import type { Stack } from '../session/stack.ts';
import { type CliContext, EXIT } from './context.ts';
import { untilInterrupted } from './interrupt.ts';
import { backgroundLauncher, openStack } from './open-stack.ts';
import { changeLine, statusJson, statusTable } from './status-table.ts';

/** Exit code 0 whatever the services' state: the question was answered. */
export async function status(context: CliContext): Promise<number> {
  const stack = await openStack(context, { keep: false, launcher: backgroundLauncher });
  try {
    const { json, watch } = context.options;
    if (watch) return await watchStatus(context, stack);
    context.out(json ? JSON.stringify(statusJson(stack.snapshot)) : statusTable(stack.snapshot, Date.now()));
    return EXIT.ok;
  } finally {
    stack.dispose();
  }
}

/** A table that stays up to date on a terminal; elsewhere a line for each change. Until Ctrl-C. */
async function watchStatus(context: CliContext, stack: Stack): Promise<number> {
  if (process.stdout.isTTY && !context.options.json) {
    const { LiveTable } = await import('./live-table.ts');
    const table = new LiveTable(stack, process.stdout);
    const code = await untilInterrupted();
    table.dispose();
    // What was seen last stays, as the terminal's ordinary text.
    context.out(statusTable(stack.snapshot, Date.now()));
    return code;
  }
  const show = context.options.json ? jsonChanges(context) : lineChanges(context);
  show(stack.snapshot);
  stack.onChange(show);
  return untilInterrupted();
}

/** Not everything that changes is shown. */
function jsonChanges({ out }: CliContext): (snapshot: StackSnapshot) => void {
  let shown = '';
  return snapshot => {
    const text = JSON.stringify(statusJson(snapshot));
    if (text === shown) return;
    shown = text;
    out(text);
  };
}

function lineChanges({ out }: CliContext): (snapshot: StackSnapshot) => void {
  let shown: ReadonlySet<string> = new Set();
  return ({ services }) => {
    const lines = services.map(changeLine);
    for (const line of lines) if (!shown.has(line)) out(line);
    shown = new Set(lines);
  };
}
