import * as vscode from 'vscode';
import type { Plan } from '../model/plan.ts';
import { realWorkspace } from '../run/runtime-dir.ts';
import { loadPlans } from '../session/load-plan.ts';
import { FolderStack, type FolderStackOptions } from './folder-stack.ts';
import { editorPostgres, type EditorPostgresOptions } from './postgres.ts';
import { editorPython } from './python.ts';
import { planSettings } from './settings.ts';

export interface OpenFolderOptions extends Omit<
  FolderStackOptions,
  'folder' | 'plan' | 'postgres' | 'python' | 'terminalPrefix'
> {
  readonly postgres: EditorPostgresOptions;
  /** There are others, from which this one's terminals must be told apart. */
  readonly isOneOfSeveral: () => boolean;
}

/**
 * Reads the plans of a workspace folder, and makes the stacks that are not known yet: its own, or in a monorepo those of
 * the folders right below. The known ones follow their plans.
 * What a stack needs (configuration, control channel, publishing, PostgreSQL) is loaded with this module, so import it
 * when a folder is read and not before.
 */
export async function openFolder(
  options: OpenFolderOptions,
  known: ReadonlyMap<string, FolderStack>,
): Promise<readonly FolderStack[]> {
  const { within } = options;
  const plans = await loadPlans(within.uri.fsPath, planSettings(within));
  return plans.flatMap(plan => {
    const folder = folderOf(plan, within);
    const present = known.get(folder.uri.toString());
    if (present) {
      present.stack.replacePlan(plan);
      return [];
    }
    const terminalPrefix = (): string => (options.isOneOfSeveral() ? `${folder.name}: ` : '');
    const postgres = editorPostgres(options.postgres);
    return [new FolderStack({ ...options, folder, plan, postgres, python: editorPython(folder), terminalPrefix })];
  });
}

/** The workspace folder itself, or the one below it that has the plan, which stands and is named for itself. */
function folderOf(plan: Plan, within: vscode.WorkspaceFolder): vscode.WorkspaceFolder {
  if (plan.workspace === realWorkspace(within.uri.fsPath)) return within;
  const uri = vscode.Uri.file(plan.workspace);
  return { uri, name: `${within.name}/${uri.path.split('/').at(-1)}`, index: within.index };
}
