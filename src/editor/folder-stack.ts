import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { coalesce } from '../base/async.ts';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { messageOf, type UserError } from '../base/errors.ts';
import { Emitter } from '../base/event.ts';
import type { Logger } from '../base/logger.ts';
import { PROXY_ID } from '../model/front.ts';
import { publishedValues } from '../model/publication.ts';
import type { Plan } from '../model/plan.ts';
import { publishEnvFile } from '../publish/publish-env-file.ts';
import { otherPortAdvice } from '../session/other-port-advice.ts';
import { type PostgresProvider, type PythonProvider, Stack, type WatchedRestart } from '../session/stack.ts';
import { SettingsPublisher } from './settings-publisher.ts';
import { TerminalEnvironment } from './terminal-environment.ts';
import { Terminals } from './terminals.ts';

const RETRY_MS = 3_000;

export interface FolderStackOptions {
  /** Where the stack is: the workspace folder, or one below it. */
  readonly folder: vscode.WorkspaceFolder;
  /** The workspace folder. */
  readonly within: vscode.WorkspaceFolder;
  /** Another stack has the same workspace folder, so that its settings and terminals can speak for neither. */
  readonly sharesFolder: () => boolean;
  readonly plan: Plan;
  readonly supervisorProgram: string;
  readonly postgres: PostgresProvider;
  readonly python: PythonProvider;
  readonly logger: Logger;
  readonly environment: vscode.GlobalEnvironmentVariableCollection;
  /** Shows that something could not be published; called once for each new reason. */
  readonly onPublishProblem: (message: string) => void;
  /** Shows how a restart came out that a saved file asked for. */
  readonly onWatchedRestart: (owner: FolderStack, restart: WatchedRestart) => void;
  /** Shows why a running proxy cannot be as it is wanted. */
  readonly onProxyRefused: (owner: FolderStack, error: UserError) => void;
  readonly terminalPrefix: () => string;
}

/** One workspace folder: its stack, its terminals, and what is published of it. */
export class FolderStack implements Disposable {
  readonly folder: vscode.WorkspaceFolder;
  readonly within: vscode.WorkspaceFolder;
  readonly python: PythonProvider;
  readonly stack: Stack;
  readonly terminals: Terminals;
  private readonly store = new DisposableStore();
  private readonly changed = this.store.add(new Emitter<void>());
  private readonly settings: SettingsPublisher;
  private readonly terminalEnvironment: TerminalEnvironment;
  private readonly problems = new Map<string, string>();
  private hasLookedAtGit = false;
  private portLookedAt: number | undefined;

  readonly onChange = this.changed.event;

  /** Makes every publication agree with the stack. Changes that come meanwhile are answered by one more run. */
  readonly publish = coalesce(() => this.publishNow());

  constructor(private readonly options: FolderStackOptions) {
    this.folder = options.folder;
    this.within = options.within;
    this.python = options.python;
    this.terminals = this.store.add(new Terminals(options.folder, options.supervisorProgram, options.terminalPrefix));
    this.stack = this.store.add(
      new Stack({
        plan: options.plan,
        launcher: this.terminals,
        postgres: options.postgres,
        python: options.python,
        proxyProgram: join(dirname(options.supervisorProgram), 'proxy.cjs'),
        logger: options.logger,
        keep: true,
        isEditor: true,
      }),
    );
    this.settings = new SettingsPublisher(options.within);
    this.terminalEnvironment = new TerminalEnvironment(options.within, options.environment);
    this.store.add(this.stack.onWatchedRestart(restart => options.onWatchedRestart(this, restart)));
    this.store.add(this.stack.onProxyRefused(error => options.onProxyRefused(this, error)));
    this.watchEnvFile(options.plan.publish.envFile);
    this.store.add(
      this.stack.onChange(() => {
        this.changed.fire();
        void this.publish();
      }),
    );
  }

  /** Finds what runs already and publishes it. */
  async connect(): Promise<void> {
    await this.stack.connect();
    await this.publish();
  }

  dispose(): void {
    this.store.dispose();
  }

  /** A file that could not be written may be writable by now; one that somebody overwrote gets its block back. */
  private watchEnvFile(file: string | undefined): void {
    if (file === undefined) return;
    const timer = setInterval(() => {
      if (this.problems.size > 0) void this.publish();
    }, RETRY_MS);
    const pattern = new vscode.RelativePattern(vscode.Uri.file(dirname(file)), basename(file));
    const watcher = this.store.add(vscode.workspace.createFileSystemWatcher(pattern));
    for (const event of [watcher.onDidChange, watcher.onDidCreate, watcher.onDidDelete]) {
      this.store.add(event(() => void this.publish()));
    }
    this.store.add({ dispose: () => clearInterval(timer) });
  }

  private async publishNow(): Promise<void> {
    const { plan, snapshot, dir } = this.stack;
    const running = snapshot.services.some(service => service.readyPort !== undefined);
    if (!running && plan.publish.keepOnStop) return;
    const values = publishedValues(snapshot, plan.publish);
    await this.attempt('.env.local', () => publishEnvFile(dir, plan.publish.envFile, values));
    const own = this.options.sharesFolder() ? new Map<string, string>() : values;
    await this.attempt('settings', () =>
      this.settings.publish(plan.publish.settings ? own.get('HELIX_API_URL') : undefined),
    );
    await this.attempt('terminals', () => Promise.resolve(this.terminalEnvironment.publish(own)));
    if (values.size > 0) await this.adviseOnGit(plan.publish.envFile);
    await this.adviseOnPort();
  }

  /** Looked at once for each port, and said once in a workspace. */
  private async adviseOnPort(): Promise<void> {
    const { dir, plan, snapshot } = this.stack;
    const port = snapshot.services.find(({ id }) => id === PROXY_ID)?.readyPort;
    if (port === undefined || this.portLookedAt === port) return;
    const advice = await otherPortAdvice(dir, plan, snapshot).catch((error: unknown) => messageOf(error));
    this.portLookedAt = port;
    if (advice !== undefined) void vscode.window.showInformationMessage(advice);
  }

  /** Looked at once in a window, and said once in a workspace. */
  private async adviseOnGit(envFile: string | undefined): Promise<void> {
    if (envFile === undefined || this.hasLookedAtGit) return;
    this.hasLookedAtGit = true;
    const { offerToIgnore } = await import('./ignore-offer.ts');
    await offerToIgnore({ dir: this.stack.dir, envFile, onError: message => this.options.onPublishProblem(message) });
  }

  /** One target that cannot be written does not keep the others from being right. */
  private async attempt(target: string, write: () => Promise<void>): Promise<void> {
    try {
      await write();
      this.problems.delete(target);
    } catch (error) {
      const message = messageOf(error);
      if (this.problems.get(target) === message) return;
      this.problems.set(target, message);
      this.options.logger.error(`publishing to ${target} of ${this.folder.name}: ${message}`);
      this.options.onPublishProblem(message);
    }
  }
}
