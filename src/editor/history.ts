import { join } from 'node:path';
import * as vscode from 'vscode';
import { messageOf, UserError } from '../base/errors.ts';
import { historyCsv, historyJson, type ServiceHistory } from '../model/health-history.ts';
import type { FolderStack } from './folder-stack.ts';

/** Asks where to, and writes the session's health checks there: CSV for a name that ends so, else JSON. */
export async function exportHistoryOf({ folder, stack }: FolderStack): Promise<void> {
  const histories = await stack.histories();
  if (histories.every(one => one.checks.length === 0)) {
    throw new UserError('There is no health history yet: no service was checked in this session. Start HELIX first.');
  }
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  const target = await vscode.window.showSaveDialog({
    title: vscode.l10n.t('Export health history'),
    defaultUri: vscode.Uri.file(join(folder.uri.fsPath, `helix-health-${stamp}.csv`)),
    filters: { CSV: ['csv'], JSON: ['json'] },
  });
  if (target) await write(target, stack.plan.workspace, histories);
}

async function write(target: vscode.Uri, workspace: string, histories: readonly ServiceHistory[]): Promise<void> {
  const isCsv = target.path.toLowerCase().endsWith('.csv');
  const text = isCsv ? historyCsv(histories) : historyJson(workspace, histories);
  try {
    await vscode.workspace.fs.writeFile(target, Buffer.from(text));
  } catch (cause) {
    throw new UserError(`The health history could not be written to ${target.fsPath}: ${messageOf(cause)}`, { cause });
  }
  const open = vscode.l10n.t('Open');
  const told = vscode.window.showInformationMessage(
    vscode.l10n.t('The health history is in {0}.', vscode.workspace.asRelativePath(target)),
    open,
  );
  void told.then(choice => (choice === open ? vscode.commands.executeCommand('vscode.open', target) : undefined));
}
