import * as vscode from 'vscode';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { isRunning, type ServiceSnapshot } from '../model/service.ts';
import { lookOf, portText, stateText } from '../model/wording.ts';
import type { FolderStack } from './folder-stack.ts';
import type { FolderStacks } from './folder-stacks.ts';
import { hoverOf, refOf } from './hover.ts';
import { COMMANDS } from './ids.ts';

/** To the right of the branch and the problems, in the plan's order. */
const PRIORITY = 40;

/** One item per service that runs or failed; a single "HELIX" item to start from while none does. */
export class StatusBar implements Disposable {
  private readonly store = new DisposableStore();
  private readonly items = new Map<string, vscode.StatusBarItem>();

  constructor(private readonly stacks: FolderStacks) {
    this.store.add(stacks.onChange(() => this.render()));
    this.render();
  }

  dispose(): void {
    this.store.dispose();
    for (const item of this.items.values()) item.dispose();
  }

  private render(): void {
    const shown = new Set<string>();
    for (const owner of this.stacks.all) {
      const { index, name } = owner.folder;
      const { services } = owner.stack.snapshot;
      const active = services.filter(service => service.state.kind !== 'stopped');
      // A higher priority stands further to the left; fractions keep folders apart from each other.
      const priorityOf = (position: number): number => PRIORITY - index - (position + 1) / 100;
      for (const service of active) {
        const id = `helix.${service.id}.${name}`;
        shown.add(id);
        const item = this.item(id, `HELIX: ${service.label}`, priorityOf(services.indexOf(service)));
        this.renderService(item, owner, service);
      }
      if (active.length === 0) {
        const id = `helix.start.${name}`;
        shown.add(id);
        this.renderIdle(this.item(id, 'HELIX', priorityOf(0)), owner);
      }
    }
    for (const [key, item] of this.items) {
      if (shown.has(key)) continue;
      item.dispose();
      this.items.delete(key);
    }
  }

  private item(id: string, name: string, priority: number): vscode.StatusBarItem {
    let item = this.items.get(id);
    if (!item) {
      item = vscode.window.createStatusBarItem(id, vscode.StatusBarAlignment.Left, priority);
      item.name = name;
      this.items.set(id, item);
      item.show();
    }
    return item;
  }

  private renderService(item: vscode.StatusBarItem, owner: FolderStack, service: ServiceSnapshot): void {
    const { icon, word } = lookOf(service);
    const port = portText(service);
    item.text = `$(${icon}) ${this.prefix(owner)}${service.label}${port ? ` ${port}` : ''}`;
    item.tooltip = hoverOf(owner, service);
    item.backgroundColor = backgroundOf(service);
    item.command = {
      title: service.url ? 'Open' : 'Show terminal',
      command: service.url ? COMMANDS.openService : COMMANDS.showTerminal,
      arguments: [refOf(owner, service)],
    };
    const spoken = `HELIX ${service.label}, ${stateText(service, Date.now())}${port ? `, port ${service.port}` : ''}`;
    item.accessibilityInformation = {
      label: isRunning(service.state) ? spoken : `HELIX ${service.label}, ${word}`,
      role: 'button',
    };
  }

  private renderIdle(item: vscode.StatusBarItem, owner: FolderStack): void {
    item.text = `$(play) ${this.prefix(owner)}HELIX`;
    item.tooltip = vscode.l10n.t('Start HELIX with dynamic ports');
    item.backgroundColor = undefined;
    item.command = { title: 'Start', command: COMMANDS.start, arguments: [{ folder: owner.folder.uri.toString() }] };
    item.accessibilityInformation = { label: 'HELIX is stopped. Start with dynamic ports', role: 'button' };
  }

  private prefix(owner: FolderStack): string {
    return this.stacks.all.length > 1 ? `${owner.folder.name} · ` : '';
  }
}

function backgroundOf(service: ServiceSnapshot): vscode.ThemeColor | undefined {
  switch (service.state.kind) {
    case 'failed':
      return new vscode.ThemeColor('statusBarItem.errorBackground');
    case 'unhealthy':
    case 'backingOff':
      return new vscode.ThemeColor('statusBarItem.warningBackground');
    default:
      return undefined;
  }
}
