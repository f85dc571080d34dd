import * as vscode from 'vscode';

/**
 * The published names in the environment of new terminals of this folder. Only differences are written: rewriting
 * the same value makes the editor ask to relaunch terminals.
 */
export class TerminalEnvironment {
  private readonly collection: vscode.EnvironmentVariableCollection;
  private published: ReadonlyMap<string, string> = new Map();

  constructor(folder: vscode.WorkspaceFolder, global: vscode.GlobalEnvironmentVariableCollection) {
    this.collection = global.getScoped({ workspaceFolder: folder });
    // The values are true only as long as the services run; a new window publishes its own.
    this.collection.persistent = false;
    this.collection.description = 'Addresses of the HELIX services';
  }

  publish(values: ReadonlyMap<string, string>): void {
    if (!vscode.workspace.getConfiguration('helix').get<boolean>('publish.terminals', true)) values = new Map();
    for (const [name, value] of values) {
      if (this.published.get(name) !== value) this.collection.replace(name, value);
    }
    for (const name of this.published.keys()) if (!values.has(name)) this.collection.delete(name);
    this.published = values;
  }
}
