import * as vscode from 'vscode';
import type { Disposable } from '../base/dispose.ts';
import type { FolderStacks } from './folder-stacks.ts';
import { PANEL_DASHBOARD } from './ids.ts';

export interface RestoreServices {
  readonly stacks: FolderStacks;
  /** The folders have been read. */
  readonly ready: Promise<void>;
  readonly extensionUri: vscode.Uri;
}

/** Dashboards that were open when the window was reloaded come back. Their code is loaded only then. */
export const restoreDashboards = ({ stacks, ready, extensionUri }: RestoreServices): Disposable =>
  vscode.window.registerWebviewPanelSerializer(PANEL_DASHBOARD, {
    async deserializeWebviewPanel(panel, state) {
      await ready;
      const key = typeof state === 'object' && state !== null && 'key' in state ? state.key : undefined;
      const owner = typeof key === 'string' ? stacks.get(key) : undefined;
      // Its folder is gone, or has no HELIX any more.
      if (owner) (await import('./dashboard.ts')).restoreDashboard(owner, panel, extensionUri);
      else panel.dispose();
    },
  });
