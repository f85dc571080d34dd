import { join } from 'node:path';
import { hasPassed, verifyText } from '../model/verify-report.ts';
import { findFromBrowser } from '../session/browser-check.ts';
import { verifyDeployment } from '../session/verify.ts';
import { type CliContext, EXIT } from './context.ts';
import { backgroundLauncher, confirm, openStack, publish } from './open-stack.ts';
import { onInterrupt } from './stack-commands.ts';

const QUESTION = 'Kill the API and move it from its port for a moment, to see it come back?';

/** The guide's checklist on the running stack. Exit code 1 when something failed; what was skipped did not fail. */
export async function verify(context: CliContext): Promise<number> {
  const stack = await openStack(context, { keep: false, launcher: backgroundLauncher });
  try {
    const agreed = await confirm(context, QUESTION);
    const report = await verifyDeployment(stack, {
      sparing: agreed ? undefined : 'it would kill the API or move it for a moment; --yes allows it',
      browser: url => findFromBrowser(url, join(__dirname, '..', 'media', 'port-discovery.js')),
      onProgress: title => context.progress(title),
      signal: onInterrupt().signal,
    });
    await publish(stack);
    context.out(context.options.json ? JSON.stringify(report, undefined, 2) : verifyText(report));
    return hasPassed(report) ? EXIT.ok : EXIT.failed;
  } finally {
    stack.dispose();
  }
}
