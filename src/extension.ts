import * as vscode from 'vscode';
import { registerCommands } from './editor/commands.ts';
import { ConfigDiagnostics } from './editor/diagnostics.ts';
import { FolderStacks } from './editor/folder-stacks.ts';
import { restoreDashboards } from './editor/dashboard-serializer.ts';
import { COMMANDS, VIEW_SERVICES } from './editor/ids.ts';
import { Reporter } from './editor/reporter.ts';
import { StatusBar } from './editor/status-bar.ts';
import { ServiceTree } from './editor/tree.ts';
import type { HelixApi } from './editor/api.ts';

// Only what registering needs is imported here, and by what is imported here: activating loads it all, in every window.
// Anything else is loaded by whoever first needs it, `const { thing } = await import('./editor/thing.ts')`, with the
// types as `import type`; test/unit/activation.test.ts says what has come in by mistake.

let active: FolderStacks | undefined;

export function activate(context: vscode.ExtensionContext): HelixApi {
  const log = vscode.window.createOutputChannel('HELIX', { log: true });
  const reporter = new Reporter(log);
  const dist = vscode.Uri.joinPath(context.extensionUri, 'dist');
  const stacks = new FolderStacks({
    supervisorProgram: vscode.Uri.joinPath(dist, 'supervisor.cjs').fsPath,
    postgres: { extensionUri: context.extensionUri, globalStorageUri: context.globalStorageUri, log },
    logger: log,
    environment: context.environmentVariableCollection,
    onProblem: message => reporter.warn(message),
    onWatchedRestart: (owner, restart) => reporter.showWatched(owner, restart),
    onProxyRefused: (owner, error) => reporter.showProxyRefused(owner, error),
  });
  active = stacks;
  const tree = new ServiceTree(stacks);
  const view = vscode.window.createTreeView(VIEW_SERVICES, { treeDataProvider: tree, showCollapseAll: true });
  tree.attach(view);
  context.subscriptions.push(log, tree, view, new StatusBar(stacks));
  // Not waited for: reading configurations and looking for what runs must not hold up the editor. Commands wait for it.
  const ready = load(stacks, reporter);
  const { extensionUri, globalStorageUri } = context;
  context.subscriptions.push(registerCommands({ stacks, reporter, log, ready, extensionUri, globalStorageUri }));
  context.subscriptions.push(restoreDashboards({ stacks, ready, extensionUri }), new ConfigDiagnostics());
  return { ready, stacks: () => stacks.all.map(owner => owner.stack.snapshot) };
}

async function load(stacks: FolderStacks, reporter: Reporter): Promise<void> {
  try {
    // In a turn of its own: loading the rest of the code and reading keep the processor busy.
    await new Promise(resolve => setImmediate(resolve));
    await stacks.load();
    autoStart(stacks);
  } catch (error) {
    reporter.showError(error);
  }
}

/**
 * A reload comes back within seconds; a disabled or uninstalled extension does not, and its services then end. The editor
 * disposes of the subscriptions without waiting for this, so the connections that the goodbye needs are none of them.
 */
export async function deactivate(): Promise<void> {
  const stacks = active;
  active = undefined;
  await Promise.all(stacks?.all.map(({ stack }) => stack.leave()) ?? []);
  stacks?.dispose();
}

/** Not waited for: the progress is shown, and the extension is of use meanwhile. */
function autoStart(stacks: FolderStacks): void {
  for (const { folder } of stacks.all) {
    if (!vscode.workspace.getConfiguration('helix', folder).get<boolean>('autoStart', false)) continue;
    void vscode.commands.executeCommand(COMMANDS.start, { folder: folder.uri.toString() });
  }
}
