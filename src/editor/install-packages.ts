import * as vscode from 'vscode';
import { installAdvice, type InstallAdvice } from '../session/missing-packages.ts';
import type { ServiceFailure } from '../session/outcomes.ts';
import type { FolderStack } from './folder-stack.ts';
import { COMMANDS } from './ids.ts';

/** An installation, and the failures that it puts right. */
interface Install {
  readonly advice: InstallAdvice;
  readonly modules: readonly string[];
  readonly failures: readonly ServiceFailure[];
}

/** How failed services of this folder get the packages that they miss; those that miss none are left out. */
export async function installsFor(
  owner: FolderStack,
  failures: readonly ServiceFailure[],
): Promise<readonly Install[]> {
  const installs = new Map<string, Install>();
  for (const failure of failures) {
    const { service, problem } = failure;
    const advice = await installAdvice({ id: service.id, problem }, owner.stack.plan, owner.python);
    if (!advice) continue;
    const before = installs.get(advice.text);
    installs.set(advice.text, {
      advice,
      modules: [...new Set([...(before?.modules ?? []), advice.module])],
      failures: [...(before?.failures ?? []), failure],
    });
  }
  return [...installs.values()];
}

/** Installs in a terminal, command after command, and offers the start once all of them went well. */
export async function installPackages(owner: FolderStack, advice: InstallAdvice): Promise<void> {
  for (const [program, ...args] of advice.commands) {
    const execution = new vscode.ProcessExecution(program!, args, { cwd: advice.folder });
    const name = vscode.l10n.t('Install Python packages');
    const task = new vscode.Task({ type: 'process' }, owner.within, name, 'HELIX', execution);
    task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, focus: false };
    if ((await exitCodeOf(task)) !== 0) return;
  }
  const start = vscode.l10n.t('Start');
  const answer = await vscode.window.showInformationMessage(vscode.l10n.t('The Python packages are installed.'), start);
  if (answer === start) await vscode.commands.executeCommand(COMMANDS.start, { folder: owner.folder.uri.toString() });
}

/** Undefined for a task whose terminal was closed. */
async function exitCodeOf(task: vscode.Task): Promise<number | undefined> {
  let subscription: vscode.Disposable | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const started = vscode.tasks.executeTask(task);
      subscription = vscode.tasks.onDidEndTaskProcess(
        event => void started.then(one => (event.execution === one ? resolve(event.exitCode) : undefined)),
      );
      started.then(undefined, reject);
    });
  } finally {
    subscription?.dispose();
  }
}
