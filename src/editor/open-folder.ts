import { loadPlan } from '../session/load-plan.ts';
import { FolderStack, type FolderStackOptions } from './folder-stack.ts';
import { editorPostgres, type EditorPostgresOptions } from './postgres.ts';
import { planSettings } from './settings.ts';

export interface OpenFolderOptions extends Omit<FolderStackOptions, 'plan' | 'postgres'> {
  readonly postgres: EditorPostgresOptions;
}

/**
 * Reads a folder's plan, and makes its stack if it has a HELIX: `known` follows the plan, else there is a new one.
 * What a stack needs (configuration, control channel, publishing, PostgreSQL) is loaded with this module, so import it
 * when a folder is read and not before.
 */
export async function openFolder(
  options: OpenFolderOptions,
  known: FolderStack | undefined,
): Promise<FolderStack | undefined> {
  const { folder } = options;
  const plan = await loadPlan(folder.uri.fsPath, planSettings(folder));
  if (!plan) return undefined;
  if (!known) return new FolderStack({ ...options, plan, postgres: editorPostgres(options.postgres) });
  known.stack.replacePlan(plan);
  return known;
}
