import * as vscode from 'vscode';
import { UserError } from '../base/errors.ts';
import { groupOf, MAX_REPLICAS, whyOnlyOne } from '../model/replicas.ts';
import type { ServiceSnapshot } from '../model/service.ts';
import type { RollingOutcome, StartOptions, StartOutcome } from '../session/stack.ts';
import type { FolderStack } from './folder-stack.ts';

/** A service of a folder, and how an operation on it is shown. */
export interface Meant {
  readonly owner: FolderStack;
  readonly service: ServiceSnapshot;
  readonly show: (title: string, operation: (options: StartOptions) => Promise<StartOutcome>) => Promise<unknown>;
}

/** Restarts it, and its replicas, without a gap; says why where that cannot be. */
export async function rollService({ owner, service, show }: Meant): Promise<void> {
  let notes: RollingOutcome['notes'] = [];
  await show(vscode.l10n.t('Rolling restart of {0}', service.label), async options => {
    const rolled = await owner.stack.roll(service.id, options);
    notes = rolled.notes;
    return rolled.outcome;
  });
  for (const note of notes) void vscode.window.showInformationMessage(note);
}

/** One more of it, or one less. */
export async function changeReplicas({ owner, service, show }: Meant, by: 1 | -1): Promise<void> {
  const id = groupOf(service);
  const first = owner.stack.plan.services.find(one => one.id === id);
  if (!first) throw new UserError(`${service.label} is not in the configuration any more, so it has no replicas.`);
  const reason = whyOnlyOne(first);
  if (reason) throw new UserError(`${first.label} cannot have replicas: ${reason}.`);
  const count = first.replicas + by;
  if (count < 1) throw new UserError(`${first.label} has no replica to remove. To end it, stop it.`);
  if (count > MAX_REPLICAS) throw new UserError(`${first.label} has ${MAX_REPLICAS} replicas, and cannot have more.`);
  const title =
    by > 0
      ? vscode.l10n.t('Adding a replica of {0}', first.label)
      : vscode.l10n.t('Removing a replica of {0}', first.label);
  await show(title, options => owner.stack.scale(id, count, options));
}
