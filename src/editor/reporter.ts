import * as vscode from 'vscode';
import { UserError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { exposureNote } from '../model/host.ts';
import { missingModule } from '../model/python.ts';
import type { ServiceSnapshot, StackSnapshot } from '../model/service.ts';
import type { ServiceFailure, StartOutcome, StopOutcome, WatchedRestart } from '../session/stack.ts';
import type { FolderStack } from './folder-stack.ts';
import { refOf } from './hover.ts';
import { COMMANDS } from './ids.ts';

interface Button {
  readonly title: string;
  readonly run: () => unknown;
}

/** The one boundary where outcomes and errors become messages. Nothing here is waited for. */
export class Reporter {
  private readonly exposed = new Set<string>();

  constructor(private readonly logger: Logger) {}

  showStart(owner: FolderStack, outcome: StartOutcome): void {
    switch (outcome.kind) {
      case 'failed':
        void this.showFailures(owner, outcome.failures);
        return;
      case 'alreadyRunning':
        vscode.window.setStatusBarMessage(`$(check) ${vscode.l10n.t('HELIX is running already')}`, 4000);
        return;
      case 'started':
        this.showExposed(outcome.snapshot);
        return;
      case 'cancelled':
        return;
    }
  }

  /** In passing, unless it failed: whoever saves a file is busy with it. */
  showWatched(owner: FolderStack, { label, because, outcome }: WatchedRestart): void {
    if (outcome.kind !== 'started') return this.showStart(owner, outcome);
    const text = vscode.l10n.t('{0} was restarted: {1} changed', label, because);
    vscode.window.setStatusBarMessage(`$(sync) ${text}`, 4000);
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

  /** Of a proxy that runs, and goes on; it is in the log already. */
  showProxyRefused({ folder }: FolderStack, { message, action }: UserError): void {
    const ref = { folder: folder.uri.toString() };
    const buttons: Button[] =
      action?.kind === 'command'
        ? [{ title: action.label, run: () => command(action.command, ...(action.args ?? [ref])) }]
        : [];
    const goesOn = vscode.l10n.t('Until then the proxy goes on with the engine that it has.');
    this.show('error', `${message} ${goesOn}`, [
      ...buttons,
      { title: vscode.l10n.t('Show log'), run: () => command(COMMANDS.showLog) },
    ]);
  }

  warn(message: string): void {
    this.show('warning', message, []);
  }

  /** Once for each process of a service that others can reach. */
  private showExposed(stack: StackSnapshot): void {
    for (const service of stack.services) {
      const note = service.url === undefined ? undefined : exposureNote(service);
      const run = `${stack.workspace} ${service.id} ${service.pid}`;
      if (note === undefined || this.exposed.has(run)) continue;
      this.exposed.add(run);
      this.logger.warn(note);
      void vscode.window.showInformationMessage(note);
    }
  }

  private async showFailures(owner: FolderStack, failures: readonly ServiceFailure[]): Promise<void> {
    for (const { service, problem } of failures) {
      const lines = problem.lastLines.map(line => `    ${line}`).join('\n');
      this.logger.error(`${service.label} failed: ${problem.message}${lines ? `\n${lines}` : ''}`);
    }
    const missing = failures.filter(one => missingModule(one.problem.lastLines) !== undefined);
    const told = missing.length > 0 ? await this.showMissing(owner, missing) : [];
    for (const failure of failures) if (!told.includes(failure)) this.showFailure(owner, failure);
  }

  /** One message for all that one installation puts right; answers whom it speaks for. Loaded when it is needed. */
  private async showMissing(
    owner: FolderStack,
    failures: readonly ServiceFailure[],
  ): Promise<readonly ServiceFailure[]> {
    const { installsFor, installPackages } = await import('./install-packages.ts');
    const installs = await installsFor(owner, failures);
    for (const { advice, modules, failures: together } of installs) {
      const skipped = [...new Set(together.flatMap(one => one.skipped))];
      const words = [
        `${together.map(one => one.service.label).join(', ')} failed: Python misses ${modules.join(', ')}.`,
        ...(skipped.length > 0 ? [`Not started because of it: ${skipped.join(', ')}.`] : []),
        vscode.l10n.t('To install what the project needs: {0}', advice.text),
      ];
      this.show('error', words.join(' '), [
        { title: vscode.l10n.t('Install'), run: () => installPackages(owner, advice) },
        ...this.usualButtons(owner, together[0]!.service),
      ]);
    }
    return installs.flatMap(install => install.failures);
  }

  private showFailure(owner: FolderStack, { service, problem, skipped }: ServiceFailure): void {
    const last = problem.lastLines.at(-1);
    const words = [
      `${service.label} failed: ${problem.message}`,
      ...(last && !problem.message.includes(last)
        ? [`Its last words: ${problem.lastLines.slice(-3).join(' ⏎ ')}`]
        : []),
      ...(skipped.length > 0 ? [`Not started because of it: ${skipped.join(', ')}.`] : []),
    ];
    const { action } = problem;
    const ref = refOf(owner, service);
    const remedy: Button[] =
      action?.kind === 'command'
        ? [{ title: action.label, run: () => command(action.command, ...(action.args ?? [ref])) }]
        : [];
    this.show('error', words.join(' '), [...remedy, ...this.usualButtons(owner, service)]);
  }

  private usualButtons(owner: FolderStack, service: ServiceSnapshot): readonly Button[] {
    const ref = refOf(owner, service);
    return [
      { title: vscode.l10n.t('Show terminal'), run: () => command(COMMANDS.showTerminal, ref) },
      { title: vscode.l10n.t('Show log'), run: () => command(COMMANDS.showLog) },
      { title: vscode.l10n.t('Try again'), run: () => command(COMMANDS.start, { folder: ref.folder }) },
    ];
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
