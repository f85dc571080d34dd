import * as vscode from 'vscode';
import { hasPassed, verifyMarkdown, type VerifyReport } from '../model/verify-report.ts';
import { findFromBrowser } from '../session/browser-check.ts';
import { verifyDeployment } from '../session/verify.ts';
import type { FolderStack } from './folder-stack.ts';

const SCHEME = 'helix-report';

/** The reports of this window, by the path of their document. */
const reports = new Map<string, string>();
let provider: vscode.Disposable | undefined;

/** Runs the guide's checklist on the folder's stack and shows the report as a page. */
export async function verifyFolder(owner: FolderStack, extensionUri: vscode.Uri): Promise<VerifyReport | undefined> {
  const sparing = await askHowFar();
  if (sparing === undefined) return undefined;
  const script = vscode.Uri.joinPath(extensionUri, 'media', 'port-discovery.js').fsPath;
  const controller = new AbortController();
  const report = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Verifying HELIX'), cancellable: true },
    (progress, token) => {
      token.onCancellationRequested(() => controller.abort());
      return verifyDeployment(owner.stack, {
        sparing: sparing || undefined,
        browser: url => findFromBrowser(url, script),
        onProgress: message => progress.report({ message }),
        signal: controller.signal,
      });
    },
  );
  await owner.publish();
  await show(report);
  return report;
}

/** Empty: do everything. A text: the reason why nothing is killed. Undefined: do nothing at all. */
async function askHowFar(): Promise<string | undefined> {
  const all = { title: vscode.l10n.t('Do everything') };
  const gently = { title: vscode.l10n.t('Kill nothing') };
  const choice = await vscode.window.showWarningMessage(
    vscode.l10n.t('Two of the six checks interrupt the API for some seconds.'),
    {
      modal: true,
      detail: vscode.l10n.t(
        'One kills it and sees it come back, one takes its port and sees it move. Then all is as before.',
      ),
    },
    all,
    gently,
  );
  if (choice === all) return '';
  return choice === gently ? 'it would interrupt the API, and that was not wanted' : undefined;
}

async function show(report: VerifyReport): Promise<void> {
  provider ??= vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
    provideTextDocumentContent: uri => reports.get(uri.path) ?? '',
  });
  const path = `/HELIX verification ${new Date(report.at).toLocaleTimeString().replaceAll('/', '-')}.md`;
  reports.set(path, verifyMarkdown(report));
  const uri = vscode.Uri.from({ scheme: SCHEME, path });
  try {
    await vscode.commands.executeCommand('markdown.showPreview', uri);
  } catch {
    // The built-in Markdown extension can be switched off.
    await vscode.window.showTextDocument(uri);
  }
  if (!hasPassed(report)) {
    const failed = report.results.filter(result => result.outcome === 'failed').map(result => result.title);
    void vscode.window.showErrorMessage(
      vscode.l10n.t('HELIX: the verification failed: {0}', [...failed, ...report.left].join('; ')),
    );
  }
}
