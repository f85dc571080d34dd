import * as vscode from 'vscode';
import { UserError } from '../base/errors.ts';
import type { Finding } from '../model/finding.ts';
import type { HandlerServices } from './commands.ts';
import type { DoctorPages } from './doctor.ts';
import { snapshotOf, type TreeNode } from './tree.ts';

/** Commands that look after a workspace: they need no stack, and the configuration may be wrong. */

/** Called with a number (from code), a row of the tree, or nothing. */
export async function whoHasPort({ reporter }: HandlerServices, target: unknown): Promise<string | undefined> {
  const { showWhoHas } = await import('./who.ts');
  return showWhoHas({ given: target, suggested: portOf(target), onError: error => reporter.showError(error) });
}

function portOf(target: unknown): number | undefined {
  const node = target as Partial<Extract<TreeNode, { kind: 'service' }>> | undefined;
  return node?.owner && node.id ? snapshotOf(node.owner, node.id)?.port : undefined;
}

const pages = new WeakMap<object, DoctorPages>();

export async function diagnose(services: HandlerServices): Promise<readonly Finding[] | undefined> {
  const folder = await pickWorkspaceFolder();
  if (!folder) return undefined;
  const { store, extensionUri, globalStorageUri } = services;
  let own = pages.get(store);
  if (!own) {
    const { DoctorPages } = await import('./doctor.ts');
    own = store.add(new DoctorPages([globalStorageUri.fsPath, extensionUri.fsPath]));
    pages.set(store, own);
  }
  return own.show(folder);
}

export async function createConfiguration(): Promise<string | undefined> {
  const folder = await pickWorkspaceFolder();
  return folder && (await import('./create-config.ts')).createAndOpenConfig(folder);
}

export async function pickWorkspaceFolder(): Promise<vscode.WorkspaceFolder | undefined> {
  const folders = (vscode.workspace.workspaceFolders ?? []).filter(folder => folder.uri.scheme === 'file');
  if (folders.length === 0) throw new UserError('Open a folder first; there is none open.');
  return folders.length === 1
    ? folders[0]
    : vscode.window.showWorkspaceFolderPick({ placeHolder: vscode.l10n.t('Which folder?') });
}
