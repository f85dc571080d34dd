import * as vscode from 'vscode';
import { messageOf, UserError } from '../base/errors.ts';

const SECTION = 'helix';
const KEY = 'apiUrl';

/** Keeps `helix.apiUrl` in the folder's settings; writes only when the value differs. */
export class SettingsPublisher {
  constructor(private readonly folder: vscode.WorkspaceFolder) {}

  async publish(apiUrl: string | undefined): Promise<void> {
    const settings = vscode.workspace.getConfiguration(SECTION, this.folder.uri);
    const present =
      settings.inspect<string>(KEY)?.workspaceFolderValue ?? settings.inspect<string>(KEY)?.workspaceValue;
    if (present === apiUrl) return;
    try {
      await settings.update(KEY, apiUrl, vscode.ConfigurationTarget.WorkspaceFolder);
    } catch (cause) {
      throw new UserError(
        `helix.apiUrl could not be written to ${this.folder.name}/.vscode/settings.json (${messageOf(cause)}). ` +
          'Check that the file is valid and may be written.',
        { cause },
      );
    }
  }
}
