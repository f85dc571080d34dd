import { join } from 'node:path';
import { type CliContext, EXIT } from './context.ts';
import { DashboardServer } from './dashboard-server.ts';
import { untilInterrupted } from './interrupt.ts';
import { backgroundLauncher, openStack } from './open-stack.ts';

/** Serves the dashboard until Ctrl-C. The address, alone on stdout, lets whoever has it look, and no more. */
export async function dashboard(context: CliContext): Promise<number> {
  const stack = await openStack(context, { keep: false, launcher: backgroundLauncher });
  const server = await DashboardServer.listen(stack, join(__dirname, 'dashboard'));
  context.out(server.url);
  context.err('The dashboard is served there, for looking only, until Ctrl-C.');
  await untilInterrupted();
  server.dispose();
  stack.dispose();
  return EXIT.interrupted;
}
