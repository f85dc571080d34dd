import { join } from 'node:path';
import { findingsJson, findingsText, hasErrors } from '../model/finding.ts';
import { realWorkspace, stateHome } from '../run/runtime-dir.ts';
import { diagnose } from '../session/doctor.ts';
import { type CliContext, EXIT } from './context.ts';

/** Exit code 1 when something keeps services from starting, 0 with warnings. */
export async function doctor({ options, out }: CliContext): Promise<number> {
  const folder = options.folder ?? process.cwd();
  const workspace = realWorkspace(folder);
  const findings = await diagnose({ folder, embeddedRoots: [join(stateHome(), 'fetched'), join(__dirname, '..')] });
  out(options.json ? JSON.stringify(findingsJson(workspace, findings)) : findingsText(workspace, findings));
  return hasErrors(findings) ? EXIT.failed : EXIT.ok;
}
