import { applyEdits, modify, parseTree, findNodeAtLocation } from 'jsonc-parser';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { UserError } from '../base/errors.ts';
import { CONFIG_FILE } from '../session/config-file.ts';
import type { FolderStack } from './folder-stack.ts';

const PATH = ['proxy', 'engine'];

/** From now on this folder's proxy is the embedded one: in its configuration where that has a say, else in its settings. */
export async function chooseEmbedded({ stack, within }: FolderStack): Promise<void> {
  const uri = vscode.Uri.file(join(stack.plan.workspace, CONFIG_FILE));
  if (await replaceInConfig(uri)) return;
  const settings = vscode.workspace.getConfiguration('helix', within.uri);
  if (settings.get('proxy.engine') === 'embedded') return;
  await settings.update('proxy.engine', 'embedded', vscode.ConfigurationTarget.WorkspaceFolder);
}

/** Whether the configuration names an engine; comments and all else in it stay as they are. */
async function replaceInConfig(uri: vscode.Uri): Promise<boolean> {
  const document = await Promise.resolve(vscode.workspace.openTextDocument(uri)).catch(() => undefined);
  const text = document?.getText() ?? '';
  const tree = parseTree(text);
  if (!document || !tree || !findNodeAtLocation(tree, PATH)) return false;
  if (document.isDirty) throw new UserError(`${uri.fsPath} has changes that are not saved. Save or revert it first.`);
  const changed = applyEdits(text, modify(text, PATH, 'embedded', {}));
  const edit = new vscode.WorkspaceEdit();
  edit.replace(uri, new vscode.Range(document.positionAt(0), document.positionAt(text.length)), changed);
  if (!(await vscode.workspace.applyEdit(edit)) || !(await document.save())) {
    throw new UserError(`${uri.fsPath} cannot be changed. Set "proxy": { "engine": "embedded" } there.`);
  }
  return true;
}
