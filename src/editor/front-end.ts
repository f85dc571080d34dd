import * as vscode from 'vscode';
import { UserError } from '../base/errors.ts';
import { pickWorkspaceFolder } from './care.ts';

/** Where HELIX v2.0 has its page. */
const FRONT_END = 'frontend';
const SCRIPT = 'port-discovery.js';
const TYPES = 'port-discovery.d.ts';
/** A front end that is checked by TypeScript has one of them, or its workspace has. */
const TYPESCRIPT_MARKS = ['tsconfig.json', 'jsconfig.json'];

export type AddOutcome = 'added' | 'replaced' | 'kept' | 'same';

/**
 * Puts `port-discovery.js` into the workspace's front end, with its types where TypeScript looks at them. What is there
 * already is left alone if it is the same, and otherwise replaced only after its differences have been shown.
 * @returns what became of the script; undefined if the user went no further
 */
export async function addPortDiscovery(extensionUri: vscode.Uri): Promise<AddOutcome | undefined> {
  const folder = await pickWorkspaceFolder();
  const target = folder && (await frontEndOf(folder.uri));
  if (!target) return undefined;
  const media = vscode.Uri.joinPath(extensionUri, 'media');
  const outcome = await put(vscode.Uri.joinPath(media, SCRIPT), vscode.Uri.joinPath(target, SCRIPT));
  if (outcome !== 'kept' && (await hasTypeScript([target, folder.uri]))) {
    await put(vscode.Uri.joinPath(media, TYPES), vscode.Uri.joinPath(target, TYPES));
  }
  say(outcome, vscode.workspace.asRelativePath(vscode.Uri.joinPath(target, SCRIPT)));
  return outcome;
}

async function frontEndOf(folder: vscode.Uri): Promise<vscode.Uri | undefined> {
  const usual = vscode.Uri.joinPath(folder, FRONT_END);
  if ((await typeOf(usual)) === vscode.FileType.Directory) return usual;
  const [chosen] =
    (await vscode.window.showOpenDialog({
      defaultUri: folder,
      canSelectFolders: true,
      canSelectFiles: false,
      openLabel: vscode.l10n.t('Add port discovery here'),
      title: vscode.l10n.t('Where are the pages of your front end?'),
    })) ?? [];
  return chosen;
}

async function put(source: vscode.Uri, target: vscode.Uri): Promise<AddOutcome> {
  const content = await vscode.workspace.fs.readFile(source);
  if ((await typeOf(target)) === undefined) {
    await write(target, content);
    return 'added';
  }
  if (Buffer.compare(await vscode.workspace.fs.readFile(target), content) === 0) return 'same';
  if (!(await mayReplace(source, target))) return 'kept';
  await write(target, content);
  return 'replaced';
}

/** Shows the differences, and asks beside them rather than over them. */
async function mayReplace(source: vscode.Uri, target: vscode.Uri): Promise<boolean> {
  const path = vscode.workspace.asRelativePath(target);
  await vscode.commands.executeCommand('vscode.diff', target, source, vscode.l10n.t('{0}: yours ↔ HELIX’s', path));
  const replace = vscode.l10n.t('Replace');
  const answer = await vscode.window.showWarningMessage(
    vscode.l10n.t('{0} is there already, and different. Replace it?', path),
    replace,
    vscode.l10n.t('Keep mine'),
  );
  await closeDiff(target);
  return answer === replace;
}

async function closeDiff(original: vscode.Uri): Promise<void> {
  const isOurs = ({ input }: vscode.Tab): boolean =>
    input instanceof vscode.TabInputTextDiff && input.original.toString() === original.toString();
  const tabs = vscode.window.tabGroups.all.flatMap(group => group.tabs).filter(isOurs);
  await vscode.window.tabGroups.close(tabs);
}

async function write(target: vscode.Uri, content: Uint8Array): Promise<void> {
  const path = vscode.workspace.asRelativePath(target);
  const open = vscode.workspace.textDocuments.find(document => document.uri.toString() === target.toString());
  if (open?.isDirty) throw new UserError(`${path} has changes that are not saved. Save or revert it, then try again.`);
  try {
    await vscode.workspace.fs.writeFile(target, content);
  } catch (cause) {
    throw new UserError(`${path} cannot be written: ${String(cause)}. Check who may write there.`, { cause });
  }
}

async function hasTypeScript(folders: readonly vscode.Uri[]): Promise<boolean> {
  const marks = folders.flatMap(folder => TYPESCRIPT_MARKS.map(name => vscode.Uri.joinPath(folder, name)));
  return (await Promise.all(marks.map(typeOf))).some(type => type !== undefined);
}

/** Not waited for: there is nothing to answer. */
function say(outcome: AddOutcome, path: string): void {
  const how = `<script src="${SCRIPT}"></script>, await initializeHelixApi(), buildHelixApiUrl('/api/v1/jobs')`;
  const text = {
    added: vscode.l10n.t('{0} was added. In the page: {1}.', path, how),
    replaced: vscode.l10n.t('{0} was replaced. In the page: {1}.', path, how),
    kept: vscode.l10n.t('{0} was left as it is.', path),
    same: vscode.l10n.t('{0} is up to date.', path),
  }[outcome];
  void vscode.window.showInformationMessage(text);
}

/** Undefined where there is nothing. */
async function typeOf(uri: vscode.Uri): Promise<vscode.FileType | undefined> {
  try {
    return (await vscode.workspace.fs.stat(uri)).type;
  } catch {
    return undefined;
  }
}
