import * as vscode from 'vscode';
import { createConfig } from '../session/create-config.ts';

/** "HELIX: Create configuration file": writes what was detected, or opens the file that is there. */
export async function createAndOpenConfig(folder: vscode.WorkspaceFolder): Promise<string> {
  const { file, created, detected } = await createConfig(folder.uri.fsPath);
  await vscode.window.showTextDocument(vscode.Uri.file(file));
  const text = !created
    ? vscode.l10n.t('There is a configuration already; it was left as it is.')
    : detected
      ? vscode.l10n.t('The configuration says what was detected. Change what you want to be otherwise.')
      : vscode.l10n.t('Nothing was detected here: describe your services in the configuration.');
  vscode.window.setStatusBarMessage(text, 6_000);
  return file;
}
