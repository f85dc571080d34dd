import { basename } from 'node:path';
import * as vscode from 'vscode';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { CONFIG_FILE } from '../session/config-file.ts';
import type { ConfigProblem } from '../model/config.ts';

/** Between the last keystroke and the squiggle. */
const PAUSE_MS = 200;
/** Has the JSON schema, and shows with it what it can see by itself. */
const JSON_EXTENSION = 'vscode.json-language-features';

/**
 * Squiggles in an open `helix.config.json`, from the reader that the start uses. What the editor's own JSON support
 * tells already is left to it; where there is none, all is told.
 */
export class ConfigDiagnostics implements Disposable {
  private readonly store = new DisposableStore();
  private readonly collection = this.store.add(vscode.languages.createDiagnosticCollection('helix'));
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor() {
    const { workspace } = vscode;
    this.store.add(workspace.onDidOpenTextDocument(document => void this.look(document)));
    this.store.add(workspace.onDidChangeTextDocument(({ document }) => this.lookSoon(document)));
    this.store.add(workspace.onDidCloseTextDocument(({ uri }) => this.forget(uri)));
    this.store.add({ dispose: () => this.timers.forEach(timer => clearTimeout(timer)) });
    for (const document of workspace.textDocuments) void this.look(document);
  }

  dispose(): void {
    this.store.dispose();
  }

  private lookSoon(document: vscode.TextDocument): void {
    if (!isConfig(document)) return;
    const key = document.uri.toString();
    clearTimeout(this.timers.get(key));
    this.timers.set(
      key,
      setTimeout(() => void this.look(document), PAUSE_MS),
    );
  }

  private async look(document: vscode.TextDocument): Promise<void> {
    if (!isConfig(document)) return;
    const { parseConfig } = await import('../model/config.ts');
    if (document.isClosed || this.store.isDisposed) return;
    const parsed = parseConfig(document.getText());
    const hasSchema = vscode.extensions.getExtension(JSON_EXTENSION) !== undefined;
    const problems = parsed.ok ? [] : parsed.problems.filter(one => one.kind === 'meaning' || !hasSchema);
    this.collection.set(
      document.uri,
      problems.map(one => diagnosticOf(document, one)),
    );
  }

  private forget(uri: vscode.Uri): void {
    clearTimeout(this.timers.get(uri.toString()));
    this.timers.delete(uri.toString());
    this.collection.delete(uri);
  }
}

const isConfig = ({ uri }: vscode.TextDocument): boolean =>
  (uri.scheme === 'file' || uri.scheme === 'vscode-remote') && basename(uri.path) === CONFIG_FILE;

function diagnosticOf(document: vscode.TextDocument, problem: ConfigProblem): vscode.Diagnostic {
  const { offset, length, message } = problem;
  const range = new vscode.Range(document.positionAt(offset), document.positionAt(offset + length));
  const diagnostic = new vscode.Diagnostic(range, message, vscode.DiagnosticSeverity.Error);
  diagnostic.source = 'HELIX';
  return diagnostic;
}
