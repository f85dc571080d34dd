import * as vscode from 'vscode';
import { coalesce } from '../base/async.ts';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { UserError } from '../base/errors.ts';
import { Emitter } from '../base/event.ts';
import type { Logger } from '../base/logger.ts';
import { CHECKOUT_FILES } from '../model/checkout.ts';
import { isRunning } from '../model/service.ts';
import { CONFIG_FILE } from '../session/config-file.ts';
import type { WatchedRestart } from '../session/stack.ts';
import type { FolderStack } from './folder-stack.ts';
import { CONTEXT_KEYS } from './ids.ts';
import type { EditorPostgresOptions } from './postgres.ts';

export interface FolderStacksOptions {
  readonly supervisorProgram: string;
  readonly postgres: EditorPostgresOptions;
  readonly logger: Logger;
  readonly environment: vscode.GlobalEnvironmentVariableCollection;
  readonly onProblem: (message: string) => void;
  readonly onWatchedRestart: (owner: FolderStack, restart: WatchedRestart) => void;
  readonly onProxyRefused: (owner: FolderStack, error: UserError) => void;
}

/** The stacks of all workspace folders that have a HELIX; follows folders and configurations as they change. */
export class FolderStacks implements Disposable {
  private readonly store = new DisposableStore();
  private readonly stacks = new Map<string, FolderStack>();
  private readonly invalid = new Map<string, UserError>();
  private readonly context = new Map<string, boolean>();
  private readonly changed = this.store.add(new Emitter<void>());

  readonly onChange = this.changed.event;

  constructor(private readonly options: FolderStacksOptions) {
    this.store.add(vscode.workspace.onDidChangeWorkspaceFolders(() => void this.load()));
    this.store.add(
      vscode.workspace.onDidChangeConfiguration(event => {
        if (['helix.publish', 'helix.postgres', 'helix.proxy'].some(section => event.affectsConfiguration(section)))
          void this.load();
      }),
    );
    const watcher = this.store.add(vscode.workspace.createFileSystemWatcher(`**/{${CONFIG_FILE},.env}`));
    this.store.add(watcher.onDidChange(() => void this.load()));
    this.store.add(watcher.onDidCreate(() => void this.load()));
    this.store.add(watcher.onDidDelete(() => void this.load()));
    // A checkout that is cloned into an open folder; what is in its files does not count.
    const checkouts = this.store.add(
      vscode.workspace.createFileSystemWatcher(`**/${CHECKOUT_FILES.api}`, false, true, false),
    );
    this.store.add(checkouts.onDidCreate(() => void this.load()));
    this.store.add(checkouts.onDidDelete(() => void this.load()));
    this.store.add(this.onChange(() => this.updateContext()));
    this.store.add(vscode.workspace.onDidGrantWorkspaceTrust(() => void this.load()));
  }

  get all(): readonly FolderStack[] {
    const place = ({ folder }: FolderStack): string => folder.uri.path;
    return [...this.stacks.values()].sort((a, b) => a.folder.index - b.folder.index || (place(a) < place(b) ? -1 : 1));
  }

  get(folder: string): FolderStack | undefined {
    return this.stacks.get(folder);
  }

  /** Why a folder's configuration cannot be used, to be shown when somebody asks for it. */
  problemOf(folder: vscode.WorkspaceFolder): UserError | undefined {
    return this.invalid.get(folder.uri.toString());
  }

  /** Reads every folder's plan anew. A folder whose configuration became invalid keeps running with its last one. */
  readonly load = coalesce(() => this.loadAll());

  private async loadAll(): Promise<void> {
    const folders = (vscode.workspace.workspaceFolders ?? []).filter(folder => folder.uri.scheme === 'file');
    const present = new Set(folders.map(folder => folder.uri.toString()));
    for (const [key, stack] of this.stacks) {
      if (present.has(stack.within.uri.toString())) continue;
      stack.dispose();
      this.stacks.delete(key);
    }
    // Nothing of an untrusted workspace is read as something to run.
    if (vscode.workspace.isTrusted) await Promise.all(folders.map(folder => this.loadFolder(folder)));
    this.changed.fire();
  }

  dispose(): void {
    this.store.dispose();
    for (const stack of this.stacks.values()) stack.dispose();
    this.stacks.clear();
  }

  private async loadFolder(folder: vscode.WorkspaceFolder): Promise<void> {
    const key = folder.uri.toString();
    this.invalid.delete(key);
    try {
      // Not at the top: it is most of our code, and activating must not wait until it is loaded.
      const { openFolder } = await import('./open-folder.ts');
      const isOneOf = (one: FolderStack): boolean => one.within.uri.toString() === key;
      const found = await openFolder(
        {
          ...this.options,
          within: folder,
          sharesFolder: () => this.all.filter(isOneOf).length > 1,
          onPublishProblem: this.options.onProblem,
          isOneOfSeveral: () => this.stacks.size > 1,
        },
        this.stacks,
      );
      for (const owner of found) {
        // The window was closed meanwhile.
        if (this.store.isDisposed) owner.dispose();
        else this.add(owner);
      }
      await Promise.all(found.map(owner => owner.connect()));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.invalid.set(key, error);
      this.options.logger.warn(error.message);
    }
  }

  private add(owner: FolderStack): void {
    this.stacks.set(owner.folder.uri.toString(), owner);
    this.store.add(owner.onChange(() => this.changed.fire()));
  }

  private updateContext(): void {
    const services = this.all.flatMap(owner => owner.stack.snapshot.services);
    const set = (key: string, value: boolean): void => {
      if (this.context.get(key) === value) return;
      this.context.set(key, value);
      void vscode.commands.executeCommand('setContext', key, value);
    };
    set(CONTEXT_KEYS.loaded, true);
    set(CONTEXT_KEYS.available, this.stacks.size > 0 || this.invalid.size > 0);
    set(
      CONTEXT_KEYS.running,
      services.some(service => service.state.kind !== 'stopped'),
    );
    set(CONTEXT_KEYS.startable, services.some(service => !isRunning(service.state)) || this.invalid.size > 0);
    set(
      CONTEXT_KEYS.apiReady,
      services.some(service => service.id === 'api' && service.url !== undefined),
    );
  }
}
