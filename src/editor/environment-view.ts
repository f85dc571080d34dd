import * as vscode from 'vscode';
import { effectiveText } from '../model/effective-env.ts';
import type { ServiceId } from '../model/service.ts';
import { effectiveEnvironmentOf } from '../session/effective-env.ts';
import type { FolderStack } from './folder-stack.ts';
import { serviceEnvironment } from './terminals.ts';

/** What the read-only page shows: every variable of a service, and where it comes from. */
export async function environmentText(owner: FolderStack, id: ServiceId): Promise<string> {
  const { plan, snapshot: stack } = owner.stack;
  const service = plan.services.find(one => one.id === id);
  if (!service) return vscode.l10n.t('# {0} is no service of this folder any more.', id);
  const variables = await effectiveEnvironmentOf(service, { plan, stack, env: serviceEnvironment() });
  const head = vscode.l10n.t(
    '# {0}: what its next start from here has, with the ports of now. Secrets are masked.',
    service.label,
  );
  return `${head}\n\n${effectiveText(variables)}\n`;
}
