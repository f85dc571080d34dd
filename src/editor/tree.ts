import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { Emitter } from '../base/event.ts';
import { isRunning, type ServiceId, type ServiceSnapshot } from '../model/service.ts';
import { groupOf, whyOnlyOne } from '../model/replicas.ts';
import { type Fact, factsOf, groupText, lookOf, portText, stateText } from '../model/wording.ts';
import type { FolderStack } from './folder-stack.ts';
import type { FolderStacks } from './folder-stacks.ts';
import { hoverOf } from './hover.ts';
import { COMMANDS, ROW } from './ids.ts';

export type TreeNode =
  | { readonly kind: 'folder'; readonly owner: FolderStack }
  | { readonly kind: 'service'; readonly owner: FolderStack; readonly id: ServiceId }
  | { readonly kind: 'fact'; readonly owner: FolderStack; readonly id: ServiceId; readonly fact: Fact };

const FACT_ICONS: Readonly<Record<Fact['name'], string>> = {
  url: 'link',
  pid: 'symbol-numeric',
  uptime: 'clock',
  restarts: 'debug-restart',
  lastExit: 'sign-out',
  note: 'info',
  problem: 'error',
};

/** Uptimes are shown to the second for a minute, then to the minute; looking on costs one refresh a second at most. */
const TICK_MS = 1_000;

/** The "HELIX" view: services, and beneath each its facts. Several workspace folders are grouped. */
export class ServiceTree implements vscode.TreeDataProvider<TreeNode>, Disposable {
  private readonly store = new DisposableStore();
  private readonly changed = this.store.add(new Emitter<TreeNode | undefined>());
  readonly onDidChangeTreeData: vscode.Event<TreeNode | undefined> = (listener, thisArgs, disposables) => {
    const subscription = this.changed.event(node => void listener.call(thisArgs, node));
    disposables?.push(subscription);
    return subscription;
  };
  /** One object per row for as long as the row exists: the editor keeps selection and expansion by identity. */
  private readonly nodes = new Map<string, TreeNode>();
  private timer: NodeJS.Timeout | undefined;
  /** Which rows were shown last, and each service and the states of its replicas as they were then. */
  private shape = '';
  private readonly shown = new Map<TreeNode, readonly unknown[]>();

  constructor(private readonly stacks: FolderStacks) {
    this.store.add(stacks.onChange(() => this.refresh()));
    this.store.add({ dispose: () => this.tick(false) });
  }

  /** While somebody looks at the facts their times move on; otherwise nothing runs. */
  attach(view: vscode.TreeView<TreeNode>): void {
    const expanded = new Set<string>();
    const update = (): void => this.tick(view.visible && expanded.size > 0);
    this.store.add(view.onDidChangeVisibility(update));
    this.store.add(
      view.onDidExpandElement(({ element }) => {
        if (element.kind === 'service') expanded.add(element.id);
        update();
      }),
    );
    this.store.add(
      view.onDidCollapseElement(({ element }) => {
        if (element.kind === 'service') expanded.delete(element.id);
        update();
      }),
    );
  }

  getChildren(node?: TreeNode): TreeNode[] {
    if (!node) return this.roots();
    switch (node.kind) {
      case 'folder':
        return this.servicesOf(node.owner);
      case 'service': {
        const service = snapshotOf(node.owner, node.id);
        if (!service) return [];
        const facts = factsOf(service, Date.now());
        return [
          ...this.replicasOf(node.owner, node.id),
          ...facts.map((fact): TreeNode => ({ kind: 'fact', owner: node.owner, id: node.id, fact })),
        ];
      }
      case 'fact':
        return [];
    }
  }

  getParent(node: TreeNode): TreeNode | undefined {
    if (node.kind === 'fact') return this.node({ kind: 'service', owner: node.owner, id: node.id });
    const first = node.kind === 'service' ? firstOf(node.owner, node.id) : undefined;
    if (first) return this.node({ kind: 'service', owner: node.owner, id: first });
    if (node.kind === 'service' && this.stacks.all.length > 1) return this.node({ kind: 'folder', owner: node.owner });
    return undefined;
  }

  getTreeItem(node: TreeNode): vscode.TreeItem {
    switch (node.kind) {
      case 'folder':
        return folderItem(node.owner);
      case 'service':
        return serviceItem(node.owner, snapshotOf(node.owner, node.id)!);
      case 'fact':
        return factItem(node);
    }
  }

  /** The hover is made when it is asked for, so that its times are right. */
  resolveTreeItem(item: vscode.TreeItem, node: TreeNode): vscode.TreeItem {
    const service = node.kind === 'service' ? snapshotOf(node.owner, node.id) : undefined;
    if (service) item.tooltip = hoverOf(node.owner, service);
    return item;
  }

  dispose(): void {
    this.store.dispose();
  }

  /** Empty while nothing runs: then the view shows its welcome with the start button. */
  private roots(): TreeNode[] {
    const active = this.stacks.all.filter(owner =>
      owner.stack.snapshot.services.some(service => service.state.kind !== 'stopped'),
    );
    if (active.length === 0) return [];
    if (this.stacks.all.length === 1) return this.servicesOf(active[0]!);
    return this.stacks.all.map(owner => this.node({ kind: 'folder', owner }));
  }

  /**
   * Only rows that changed are drawn anew. Drawing everything would close a context menu's row under the pointer:
   * its command would come without a target.
   */
  private refresh(): void {
    const shape = JSON.stringify(this.roots().map(node => this.keysBeneath(node)));
    if (shape !== this.shape) {
      this.shape = shape;
      this.changed.fire(undefined);
      return;
    }
    for (const node of this.nodes.values()) {
      if (node.kind !== 'service') continue;
      const service = snapshotOf(node.owner, node.id);
      const group = [service, ...membersOf(node.owner, node.id).map(({ state }) => state.kind)];
      if (!service || isDeepStrictEqual(group, this.shown.get(node))) continue;
      this.shown.set(node, group);
      this.changed.fire(node);
    }
  }

  private keysBeneath(node: TreeNode): string[] {
    if (node.kind === 'folder')
      return [node.owner.folder.name, ...this.servicesOf(node.owner).flatMap(child => this.keysBeneath(child))];
    return [node.id, ...this.replicasOf(node.owner, node.id).map(({ id }) => id)];
  }

  private servicesOf(owner: FolderStack): TreeNode[] {
    const firsts = owner.stack.snapshot.services.filter(({ id }) => firstOf(owner, id) === undefined);
    return firsts.map(({ id }) => this.node({ kind: 'service', owner, id }));
  }

  /** Beneath the first of them, before its facts. */
  private replicasOf(owner: FolderStack, id: ServiceId): ServiceNode[] {
    const others = membersOf(owner, id).filter(one => one.id !== id);
    return others.map(one => this.node({ kind: 'service', owner, id: one.id }) as ServiceNode);
  }

  private node<T extends TreeNode>(node: T): TreeNode {
    const key = `${node.owner.folder.uri.toString()} ${node.kind === 'folder' ? '' : node.id}`;
    const known = this.nodes.get(key);
    if (known?.owner === node.owner) return known;
    this.nodes.set(key, node);
    return node;
  }

  private tick(on: boolean): void {
    if (!on) {
      clearInterval(this.timer);
      this.timer = undefined;
    } else {
      this.timer ??= setInterval(() => {
        for (const node of this.nodes.values()) if (node.kind === 'service') this.changed.fire(node);
      }, TICK_MS);
    }
  }
}

type ServiceNode = Extract<TreeNode, { kind: 'service' }>;

/** The service that this is one more of, if that one has a row. */
const firstOf = (owner: FolderStack, id: ServiceId): ServiceId | undefined => {
  const first = snapshotOf(owner, id)?.replicaOf;
  return first !== undefined && snapshotOf(owner, first) ? first : undefined;
};

/** The service with its replicas; none of a replica, which has no row of others beneath its own. */
const membersOf = (owner: FolderStack, id: ServiceId): readonly ServiceSnapshot[] =>
  firstOf(owner, id) === undefined ? owner.stack.snapshot.services.filter(service => groupOf(service) === id) : [];

export const snapshotOf = (owner: FolderStack, id: string): ServiceSnapshot | undefined =>
  owner.stack.snapshot.services.find(service => service.id === id);

function folderItem(owner: FolderStack): vscode.TreeItem {
  const item = new vscode.TreeItem(owner.folder.name, vscode.TreeItemCollapsibleState.Expanded);
  item.id = owner.folder.uri.toString();
  item.iconPath = vscode.ThemeIcon.Folder;
  item.resourceUri = owner.folder.uri;
  item.contextValue = ROW.folder;
  return item;
}

function serviceItem(owner: FolderStack, service: ServiceSnapshot): vscode.TreeItem {
  const { icon, color } = lookOf(service);
  const summary = groupText(membersOf(owner, service.id));
  const { Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
  const item = new vscode.TreeItem(service.label, summary ? Expanded : Collapsed);
  item.id = `${owner.folder.uri.toString()} ${service.id}`;
  item.iconPath = new vscode.ThemeIcon(icon, color ? new vscode.ThemeColor(color) : undefined);
  item.description = [portText(service), lookOf(service).word, summary && `(${summary})`].filter(Boolean).join('  ');
  item.contextValue = [
    ROW.service,
    isRunning(service.state) ? 'running' : 'idle',
    ...(service.url ? ['url'] : []),
    ...(service.external ? ['external'] : ['own']),
    ...rollingWords(owner, service),
  ].join(' ');
  const port = portText(service) ? `, port ${service.port}` : '';
  const replicas = summary && `; with its replicas ${summary}`;
  item.accessibilityInformation = { label: `${service.label}, ${stateText(service, Date.now())}${port}${replicas}` };
  return item;
}

/** Whether it can be restarted beside itself, and whether there can be more and less of it. */
function rollingWords({ stack }: FolderStack, service: ServiceSnapshot): string[] {
  const first = stack.plan.services.find(one => one.id === groupOf(service));
  if (first?.kind !== 'process') return [];
  return [
    ...(first.port.kind === 'band' && !first.tty ? ['rolls'] : []),
    ...(whyOnlyOne(first) ? [] : ['scales']),
    ...(first.replicas > 1 ? ['several'] : []),
  ];
}

function factItem({ owner, id, fact }: Extract<TreeNode, { kind: 'fact' }>): vscode.TreeItem {
  const item = new vscode.TreeItem(fact.label);
  item.id = `${owner.folder.uri.toString()} ${id} ${fact.name}`;
  item.description = fact.value;
  item.tooltip = `${fact.label}: ${fact.value}`;
  item.iconPath = new vscode.ThemeIcon(FACT_ICONS[fact.name]);
  item.contextValue = `${ROW.fact} ${fact.name}`;
  if (fact.name === 'url') {
    item.command = {
      title: 'Open',
      command: COMMANDS.openService,
      arguments: [{ folder: owner.folder.uri.toString(), service: id }],
    };
  }
  return item;
}
