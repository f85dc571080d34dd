import { basename } from 'node:path';
import * as vscode from 'vscode';
import { messageOf } from '../base/errors.ts';
import { addToGitignore } from '../publish/git-ignore.ts';
import { ignoreAdvice } from '../session/ignore-advice.ts';

export interface IgnoreOfferOptions {
  readonly dir: string;
  readonly envFile: string;
  readonly onError: (message: string) => void;
}

/** Says once that git would take the published file along, and offers to add it to `.gitignore`. */
export async function offerToIgnore({ dir, envFile, onError }: IgnoreOfferOptions): Promise<void> {
  try {
    const advice = await ignoreAdvice(dir, envFile);
    if (advice === undefined) return;
    const add = vscode.l10n.t('Add {0} to .gitignore', basename(envFile));
    // Not waited for: a notification may stay for long.
    void vscode.window
      .showInformationMessage(advice, add)
      .then(answer => (answer === add ? addToGitignore(envFile) : undefined))
      .then(undefined, error => onError(messageOf(error)));
  } catch (error) {
    onError(messageOf(error));
  }
}
