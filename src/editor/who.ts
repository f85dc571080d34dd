import * as vscode from 'vscode';
import { isPort } from '../model/port.ts';
import { type PortUse, stopHolder, useText, whoHas } from '../session/who.ts';

export interface WhoOptions {
  /** What the command was called with. */
  readonly given: unknown;
  /** What the box begins with. */
  readonly suggested: number | undefined;
  readonly onError: (error: unknown) => void;
}

/**
 * "HELIX: Who has my port?": asks for the port unless code gave one, shows who has it, and offers to stop it when it
 * is the user's own. Answers what it shows, for code that calls the command.
 */
export async function showWhoHas({ given, suggested, onError }: WhoOptions): Promise<string | undefined> {
  const port = isPort(given) ? given : await askPort(suggested);
  if (!isPort(port)) return undefined;
  const use = await whoHas(port);
  const text = useText(use, Date.now());
  // Not waited for: a notification may stay for long.
  void offer(use, text).catch(onError);
  return text;
}

async function askPort(suggested: number | undefined): Promise<number | undefined> {
  const text = await vscode.window.showInputBox({
    prompt: vscode.l10n.t('Which port?'),
    value: String(suggested ?? ''),
    validateInput: value => (isPort(Number(value)) ? undefined : vscode.l10n.t('A port is a number from 1 to 65535.')),
  });
  return text === undefined ? undefined : Number(text);
}

async function offer(use: PortUse, text: string): Promise<void> {
  const [first, ...facts] = text.split('\n');
  const stop = vscode.l10n.t('Stop it');
  const copy = vscode.l10n.t('Copy');
  const words = [first, facts.map(line => line.trim().replace(/ {2,}/, ': ')).join('; ')].filter(Boolean).join(' ');
  const buttons = use.state === 'free' ? [] : use.isOwn ? [stop, copy] : [copy];
  const answer = await vscode.window.showInformationMessage(words, ...buttons);
  if (answer === copy) await vscode.env.clipboard.writeText(text);
  if (answer === stop) await stopAfterAsking(use, text);
}

async function stopAfterAsking(use: PortUse, detail: string): Promise<void> {
  const stop = vscode.l10n.t('Stop it');
  const question = vscode.l10n.t('Stop the process on port {0}?', use.port);
  if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, stop)) !== stop) return;
  await stopHolder(use);
  void vscode.window.showInformationMessage(vscode.l10n.t('Port {0} was freed.', use.port));
}
