import * as vscode from 'vscode';
import { createDemoWorkspace } from '../session/demo-workspace.ts';

/** Asks where, creates the demo there, and opens it. What a folder already holds is never overwritten. */
export async function openDemoWorkspace(extensionUri: vscode.Uri): Promise<void> {
  const [parent] =
    (await vscode.window.showOpenDialog({
      canSelectFolders: true,
      canSelectFiles: false,
      openLabel: vscode.l10n.t('Create the HELIX demo here'),
      title: vscode.l10n.t('Where shall the folder helix-demo be created?'),
    })) ?? [];
  if (!parent) return;
  const folder = await createDemoWorkspace(vscode.Uri.joinPath(extensionUri, 'dist', 'demo').fsPath, parent.fsPath);
  await vscode.commands.executeCommand('vscode.openFolder', vscode.Uri.file(folder), {
    forceNewWindow: (vscode.workspace.workspaceFolders ?? []).length > 0,
  });
}
