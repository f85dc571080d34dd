import * as vscode from 'vscode';
import { UserError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { ServiceFailure, StartOutcome, StopOutcome } from '../session/stack.ts';
import type { FolderStack } from './folder-stack.ts';
import { refOf } from './hover.ts';
import { COMMANDS } from './ids.ts';

interface Button {
  readonly title: string;
  readonly run: () => unknown;
}

/** The one boundary where outcomes and errors become messages. Nothing here is waited for. */
export class Reporter {
  constructor(private readonly logger: Logger) {}

  showStart(owner: FolderStack, outcome: StartOutcome): void {
    switch (outcome.kind) {
      case 'failed':
        for (const failure of outcome.failures) this.showFailure(owner, failure);
        return;
      case 'alreadyRunning':
        vscode.window.setStatusBarMessage(`$(check) ${vscode.l10n.t('HELIX is running already')}`, 4000);
        return;
      case 'started':
      case 'cancelled':
        return;
    }
  }

  showLeftRunning(outcome: StopOutcome): void {
    for (const { id, reason } of outcome.left) {
      void vscode.window.showInformationMessage(vscode.l10n.t('{0} was left running: {1}.', id, reason));
    }
  }

  /** A `UserError` is shown with its button; anything else is a defect and is logged with its stack. */
  showError(error: unknown): void {
    if (!(error instanceof UserError)) {
      this.logger.error('Unexpected error', error);
      const text = error instanceof Error ? error.message : String(error);
      this.show('error', `HELIX: ${text}`, [{ title: 'Show log', run: () => command(COMMANDS.showLog) }]);
      return;
    }
    this.logger.warn(error.message);
    const { action } = error;
    const buttons: Button[] = [];
    if (action?.kind === 'command') {
      buttons.push({ title: action.label, run: () => command(action.command, ...(action.args ?? [])) });
    } else if (action?.kind === 'open') {
      buttons.push({ title: action.label, run: () => open(action.path, action.line) });
    }
    this.show('error', error.message, buttons);
  }

  warn(message: string): void {
    this.show('warning', message, []);
  }

  private showFailure(owner: FolderStack, { service, problem, skipped }: ServiceFailure): void {
    const lines = problem.lastLines.map(line => `    ${line}`).join('\n');
    this.logger.error(`${service.label} failed: ${problem.message}${lines ? `\n${lines}` : ''}`);
    const last = problem.lastLines.at(-1);
    const words = [
      `${service.label} failed: ${problem.message}`,
      ...(last && !problem.message.includes(last)
        ? [`Its last words: ${problem.lastLines.slice(-3).join(' ⏎ ')}`]
        : []),
      ...(skipped.length > 0 ? [`Not started because of it: ${skipped.join(', ')}.`] : []),
    ];
    const ref = refOf(owner, service);
    this.show('error', words.join(' '), [
      { title: vscode.l10n.t('Show terminal'), run: () => command(COMMANDS.showTerminal, ref) },
      { title: vscode.l10n.t('Show log'), run: () => command(COMMANDS.showLog) },
      { title: vscode.l10n.t('Try again'), run: () => command(COMMANDS.start, { folder: ref.folder }) },
    ]);
  }

  private show(severity: 'error' | 'warning', message: string, buttons: readonly Button[]): void {
    const show = severity === 'error' ? vscode.window.showErrorMessage : vscode.window.showWarningMessage;
    const titles = buttons.map(button => button.title);
    void show(message, ...titles).then(title => buttons.find(button => button.title === title)?.run());
  }
}

const command = (id: string, ...args: readonly unknown[]): Thenable<unknown> =>
  vscode.commands.executeCommand(id, ...args);

async function open(path: string, line = 1): Promise<void> {
  const at = new vscode.Position(Math.max(0, line - 1), 0);
  await vscode.window.showTextDocument(vscode.Uri.file(path), { selection: new vscode.Range(at, at) });
}
