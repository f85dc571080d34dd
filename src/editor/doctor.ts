import * as vscode from 'vscode';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { type Finding, findingsMarkdown } from '../model/finding.ts';
import { diagnose } from '../session/doctor.ts';
import { planSettings } from './settings.ts';

const SCHEME = 'helix-doctor';

/** "HELIX: Diagnose" as read-only documents, one a folder; asked for again it is made anew in the same place. */
export class DoctorPages implements Disposable {
  private readonly store = new DisposableStore();
  private readonly texts = new Map<string, string>();
  private readonly changed = this.store.add(new vscode.EventEmitter<vscode.Uri>());

  constructor(private readonly embeddedRoots: readonly string[]) {
    this.store.add(
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
        onDidChange: this.changed.event,
        provideTextDocumentContent: uri => this.texts.get(uri.toString()) ?? '',
      }),
    );
  }

  /** Answers what was found, for code that calls the command. */
  async show(folder: vscode.WorkspaceFolder): Promise<readonly Finding[]> {
    const location = vscode.ProgressLocation.Notification;
    const title = vscode.l10n.t('Diagnosing {0}', folder.name);
    const findings = await vscode.window.withProgress({ location, title }, () =>
      diagnose({
        folder: folder.uri.fsPath,
        settings: planSettings(folder),
        embeddedRoots: this.embeddedRoots,
      }),
    );
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${folder.name}/HELIX diagnosis.md` });
    this.texts.set(uri.toString(), findingsMarkdown(folder.uri.fsPath, findings));
    this.changed.fire(uri);
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: false });
    return findings;
  }

  dispose(): void {
    this.store.dispose();
  }
}
