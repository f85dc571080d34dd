import * as vscode from 'vscode';
import { isRunning, type ServiceSnapshot } from '../model/service.ts';
import { factsOf, lookOf, stateText } from '../model/wording.ts';
import { COMMANDS } from './ids.ts';
import type { FolderStack } from './folder-stack.ts';

/** What names a service in a command's arguments; plain data, so that it can stand in a link. */
export interface ServiceRef {
  readonly folder: string;
  readonly service: string;
}

export const refOf = (owner: FolderStack, service: ServiceSnapshot): ServiceRef => ({
  folder: owner.folder.uri.toString(),
  service: service.id,
});

/** The hover of a status item and of a tree row: state, facts, and links to what can be done. */
export function hoverOf(owner: FolderStack, service: ServiceSnapshot): vscode.MarkdownString {
  const now = Date.now();
  const text = new vscode.MarkdownString('', true);
  text.isTrusted = { enabledCommands: Object.values(COMMANDS) };
  text
    .appendMarkdown(`**`)
    .appendText(service.label)
    .appendMarkdown(`** $(${lookOf(service).icon}) `);
  text.appendText(stateText(service, now)).appendMarkdown('\n\n');
  for (const fact of factsOf(service, now)) {
    if (fact.name === 'problem') continue;
    text.appendMarkdown(`${fact.label}: `);
    text.appendText(fact.value).appendMarkdown('  \n');
  }
  text.appendMarkdown(`\n\n${linksOf(owner, service).join(' · ')}`);
  return text;
}

function linksOf(owner: FolderStack, service: ServiceSnapshot): string[] {
  const args = encodeURIComponent(JSON.stringify([refOf(owner, service)]));
  const link = (icon: string, label: string, command: string): string =>
    `[$(${icon}) ${label}](command:${command}?${args})`;
  const running = isRunning(service.state);
  return [
    ...(service.url ? [link('link-external', 'Open', COMMANDS.openService)] : []),
    ...(running && !service.external ? [link('debug-restart', 'Restart', COMMANDS.restartService)] : []),
    ...(running ? [link('debug-stop', 'Stop', COMMANDS.stopService)] : [link('play', 'Start', COMMANDS.startService)]),
    link('terminal', 'Terminal', COMMANDS.showTerminal),
  ];
}
