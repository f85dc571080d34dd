import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { dashboardDocument } from '../dashboard/document.ts';
import { type FromPage, parseFromPage, type ServiceAction, type StackAction, type ToPage } from '../model/dashboard.ts';
import { DashboardFeed } from '../session/dashboard-feed.ts';
import type { FolderStack } from './folder-stack.ts';
import { COMMANDS, PANEL_DASHBOARD } from './ids.ts';

const SERVICE_COMMANDS: Readonly<Record<ServiceAction, string>> = {
  start: COMMANDS.startService,
  stop: COMMANDS.stopService,
  restart: COMMANDS.restartService,
  open: COMMANDS.openService,
  terminal: COMMANDS.showTerminal,
  addReplica: COMMANDS.addReplica,
  removeReplica: COMMANDS.removeReplica,
};

const STACK_COMMANDS: Readonly<Record<StackAction, string>> = {
  startAll: COMMANDS.start,
  stopAll: COMMANDS.stopAll,
  restartAll: COMMANDS.restartAll,
  exportHistory: COMMANDS.exportHistory,
};

/** The open dashboards, one for each folder at most. */
const open = new Map<string, DashboardPanel>();

/** Shows the folder's dashboard, in the panel that shows it already if there is one. */
export function openDashboard(owner: FolderStack, extensionUri: vscode.Uri): void {
  const known = open.get(keyOf(owner));
  if (known) return known.panel.reveal();
  const title = vscode.l10n.t('HELIX: {0}', owner.folder.name);
  // Not retained while hidden: nothing is to run then. What the user chose is in the page's state.
  const panel = vscode.window.createWebviewPanel(PANEL_DASHBOARD, title, vscode.ViewColumn.Active);
  new DashboardPanel(owner, panel, extensionUri);
}

/** Gives a panel that was open when the window was reloaded its dashboard again. */
export function restoreDashboard(owner: FolderStack, panel: vscode.WebviewPanel, extensionUri: vscode.Uri): void {
  if (open.has(keyOf(owner))) panel.dispose();
  else new DashboardPanel(owner, panel, extensionUri);
}

const keyOf = (owner: FolderStack): string => owner.folder.uri.toString();

/** One dashboard: a webview and, while it is visible, the feed that fills it. */
class DashboardPanel implements Disposable {
  private readonly store = new DisposableStore();
  private feed: DashboardFeed | undefined;

  constructor(
    private readonly owner: FolderStack,
    readonly panel: vscode.WebviewPanel,
    extensionUri: vscode.Uri,
  ) {
    const dist = vscode.Uri.joinPath(extensionUri, 'dist', 'dashboard');
    panel.iconPath = {
      light: vscode.Uri.joinPath(extensionUri, 'media', 'helix-light.svg'),
      dark: vscode.Uri.joinPath(extensionUri, 'media', 'helix-dark.svg'),
    };
    panel.webview.options = { enableScripts: true, localResourceRoots: [dist] };
    this.store.add(panel.webview.onDidReceiveMessage(message => this.take(parseFromPage(message))));
    this.store.add(
      panel.onDidChangeViewState(() => {
        if (!panel.visible) this.stopFeed();
      }),
    );
    this.store.add(panel.onDidDispose(() => this.dispose()));
    this.store.add(
      vscode.workspace.onDidChangeWorkspaceFolders(({ removed }) => {
        if (removed.some(folder => folder.uri.toString() === keyOf(owner))) panel.dispose();
      }),
    );
    open.set(keyOf(owner), this);
    panel.webview.html = dashboardDocument({
      nonce: randomBytes(16).toString('base64'),
      script: panel.webview.asWebviewUri(vscode.Uri.joinPath(dist, 'page.js')).toString(),
      style: panel.webview.asWebviewUri(vscode.Uri.joinPath(dist, 'page.css')).toString(),
      connect: "'none'",
    });
  }

  dispose(): void {
    this.stopFeed();
    this.store.dispose();
    open.delete(keyOf(this.owner));
  }

  private take(message: FromPage | undefined): void {
    const { folder } = this.owner;
    switch (message?.kind) {
      case 'ready':
        return this.startFeed();
      case 'service': {
        const ref = { folder: folder.uri.toString(), service: message.id };
        return void vscode.commands.executeCommand(SERVICE_COMMANDS[message.action], ref);
      }
      case 'stack':
        return void vscode.commands.executeCommand(STACK_COMMANDS[message.action], { folder: folder.uri.toString() });
      case undefined:
        return;
    }
  }

  /** A page that comes back into sight is a new one, and is told everything again. */
  private startFeed(): void {
    this.stopFeed();
    const { stack, folder } = this.owner;
    const { webview } = this.panel;
    this.feed = new DashboardFeed(stack, (message: ToPage) => void webview.postMessage(message));
    this.feed.start({ key: folder.uri.toString(), workspace: stack.plan.workspace, canAct: true });
  }

  private stopFeed(): void {
    this.feed?.dispose();
    this.feed = undefined;
  }
}
