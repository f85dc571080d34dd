import * as vscode from 'vscode';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { isCancelled, UserError } from '../base/errors.ts';
import { isRunning, type ServiceSnapshot, toServiceId } from '../model/service.ts';
import { PROXY_ID, stableUrlOf } from '../model/front.ts';
import { lookOf, portText, stateText } from '../model/wording.ts';
import type { StartOptions, StartOutcome } from '../session/stack.ts';
import type { FolderStack } from './folder-stack.ts';
import type { FolderStacks } from './folder-stacks.ts';
import { refOf, type ServiceRef } from './hover.ts';
import { COMMANDS } from './ids.ts';
import { progressText } from '../session/progress-text.ts';
import type { Reporter } from './reporter.ts';
import { changeReplicas, type Meant, rollService } from './scale-commands.ts';
import { snapshotOf, type TreeNode } from './tree.ts';

export interface CommandServices {
  readonly stacks: FolderStacks;
  readonly reporter: Reporter;
  readonly log: vscode.LogOutputChannel;
  readonly extensionUri: vscode.Uri;
  readonly globalStorageUri: vscode.Uri;
  /** The folders have been read. */
  readonly ready: Promise<void>;
}

/** What a command may be called with: nothing (palette), a row of the tree, or a reference (status bar, hover, code). */
type Target = TreeNode | Partial<ServiceRef> | undefined;

/** `store`: for what a command makes and what outlives it. */
export type HandlerServices = CommandServices & { readonly store: DisposableStore };

type Handler = (services: HandlerServices, target: Target) => Promise<unknown>;

const TABLE: Readonly<Record<string, Handler>> = {
  [COMMANDS.start]: start,
  [COMMANDS.stopAll]: stopAll,
  [COMMANDS.restartAll]: restartAll,
  [COMMANDS.startService]: startService,
  [COMMANDS.stopService]: stopService,
  [COMMANDS.restartService]: restartService,
  [COMMANDS.rollingRestart]: async (services, target) => {
    const meant = await meantToRun(services, target, 'Restart which service without a gap?');
    if (meant) await rollService(meant);
  },
  [COMMANDS.addReplica]: async (services, target) => {
    const meant = await meantToRun(services, target, 'One more of which service?');
    if (meant) await changeReplicas(meant, 1);
  },
  [COMMANDS.removeReplica]: async (services, target) => {
    const meant = await meantToRun(services, target, 'One less of which service?');
    if (meant) await changeReplicas(meant, -1);
  },
  [COMMANDS.useEmbeddedEngine]: useEmbeddedEngine,
  [COMMANDS.openService]: (services, target) => openPath(services, target),
  [COMMANDS.openApi]: (services, target) => openPath(services, apiOf(services, target)),
  [COMMANDS.openApiDocs]: (services, target) => openPath(services, apiOf(services, target), '/docs'),
  [COMMANDS.copyUrl]: copyUrl,
  [COMMANDS.showTerminal]: showTerminal,
  [COMMANDS.showLog]: showLog,
  [COMMANDS.openDashboard]: openDashboard,
  [COMMANDS.showEnvironment]: showEnvironment,
  [COMMANDS.verify]: verify,
  [COMMANDS.exportHistory]: exportHistory,
  [COMMANDS.whoHasPort]: async (services, target) => (await import('./care.ts')).whoHasPort(services, target),
  [COMMANDS.diagnose]: async services => (await import('./care.ts')).diagnose(services),
  [COMMANDS.createConfig]: async () => (await import('./care.ts')).createConfiguration(),
  [COMMANDS.addPortDiscovery]: async ({ extensionUri }) =>
    (await import('./front-end.ts')).addPortDiscovery(extensionUri),
  [COMMANDS.openDemo]: async ({ extensionUri }) => (await import('./demo.ts')).openDemoWorkspace(extensionUri),
};

export function registerCommands(services: CommandServices): Disposable {
  const store = new DisposableStore();
  store.add(environmentPages(services));
  for (const [id, handler] of Object.entries(TABLE)) {
    const run = async (target: Target): Promise<unknown> => {
      try {
        await services.ready;
        return await handler({ ...services, store }, target);
      } catch (error) {
        if (!isCancelled(error)) services.reporter.showError(error);
        return undefined;
      }
    };
    store.add(vscode.commands.registerCommand(id, run));
  }
  return store;
}

async function start(services: CommandServices, target: Target): Promise<StartOutcome | undefined> {
  requireTrust();
  const owner = await pickFolder(services, target);
  if (!owner) return undefined;
  // Starting what an older, valid configuration said would hide that the present one is not understood.
  const problem = services.stacks.problemOf(owner.within);
  if (problem) throw problem;
  if (vscode.workspace.getConfiguration('helix').get<boolean>('revealTerminals', true))
    owner.terminals.revealNext('api');
  return runStart(services, owner, vscode.l10n.t('Starting HELIX'), options => owner.stack.start(options));
}

async function startService(services: CommandServices, target: Target): Promise<void> {
  requireTrust();
  const picked = await pickService(services, target, service => !isRunning(service.state), 'Start which service?');
  if (!picked) return;
  const { owner, service } = picked;
  await runStart(services, owner, vscode.l10n.t('Starting {0}', service.label), options =>
    owner.stack.start({ ...options, only: [service.id] }),
  );
}

async function restartService(services: CommandServices, target: Target): Promise<void> {
  requireTrust();
  const restartable = (service: ServiceSnapshot): boolean => !service.external && service.state.kind !== 'stopped';
  const picked = await pickService(services, target, restartable, 'Restart which service?');
  if (!picked) return;
  const { owner, service } = picked;
  await runStart(services, owner, vscode.l10n.t('Restarting {0}', service.label), options =>
    owner.stack.restart(service.id, options),
  );
}

/** A running process of ours, and never the proxy. */
async function meantToRun(services: CommandServices, target: Target, question: string): Promise<Meant | undefined> {
  requireTrust();
  const fits = ({ external, state, id }: ServiceSnapshot): boolean => !external && isRunning(state) && id !== PROXY_ID;
  const picked = await pickService(services, target, fits, question);
  if (!picked) return undefined;
  const show: Meant['show'] = (title, operation) => runStart(services, picked.owner, title, operation);
  return { ...picked, show };
}

/** Starts what could not be without nginx: the choice alone would change nothing that is seen. */
async function useEmbeddedEngine(services: CommandServices, target: Target): Promise<void> {
  requireTrust();
  const owner = await pickFolder(services, target);
  if (!owner) return;
  const { chooseEmbedded } = await import('./proxy-engine.ts');
  await chooseEmbedded(owner);
  await services.stacks.load();
  await runStart(services, owner, vscode.l10n.t('Starting HELIX'), options => owner.stack.start(options));
}

async function restartAll(services: CommandServices, target: Target): Promise<void> {
  requireTrust();
  const owner = await pickFolder(services, target);
  if (!owner) return;
  await runStart(services, owner, vscode.l10n.t('Restarting HELIX'), options => owner.stack.restartAll(options));
}

async function stopService(services: CommandServices, target: Target): Promise<void> {
  const picked = await pickService(
    services,
    target,
    service => service.state.kind !== 'stopped',
    'Stop which service?',
  );
  if (!picked) return;
  const { owner, service } = picked;
  await withStopProgress(vscode.l10n.t('Stopping {0}', service.label), async () => {
    services.reporter.showLeftRunning(await owner.stack.stop([service.id]));
  });
}

async function stopAll(services: CommandServices, target: Target): Promise<void> {
  const owners = target && 'folder' in target ? [await pickFolder(services, target)] : services.stacks.all;
  await withStopProgress(vscode.l10n.t('Stopping HELIX'), async () => {
    for (const owner of owners) {
      if (!owner) continue;
      const outcome = await owner.stack.stop();
      await owner.publish();
      services.reporter.showLeftRunning(outcome);
    }
  });
}

async function openPath(services: CommandServices, target: Target, path?: string): Promise<void> {
  const picked = await pickService(services, target, service => service.url !== undefined, 'Open which service?');
  if (!picked) return;
  const { owner, service } = picked;
  if (!service.url) throw new UserError(`${service.label} has no address to open: it is ${lookOf(service).word}.`);
  const planned = owner.stack.plan.services.find(one => one.id === service.id);
  // Remote windows, containers and the browser's editor reach the port through an address of their own. Only the origin
  // is resolved: VS Code 1.103 loses the path on the way.
  const address = stableUrlOf(owner.stack.snapshot.services, service.id) ?? service.url;
  const origin = await vscode.env.asExternalUri(vscode.Uri.parse(address));
  const external = origin.with({ path: origin.path.replace(/\/$/, '') + (path ?? planned?.openPath ?? '/') });
  await vscode.env.openExternal(external);
}

async function copyUrl(services: CommandServices, target: Target): Promise<void> {
  const picked = await pickService(services, target, service => service.url !== undefined, 'Copy which URL?');
  // Of the API the address that it keeps.
  const address = picked && stableUrlOf(picked.owner.stack.snapshot.services, picked.service.id);
  if (!address) return;
  await vscode.env.clipboard.writeText(address);
  vscode.window.setStatusBarMessage(`$(clippy) ${vscode.l10n.t('Copied {0}', address)}`, 3000);
}

async function showTerminal(services: CommandServices, target: Target): Promise<void> {
  const picked = await pickService(
    services,
    target,
    service => service.supervisorPid !== undefined,
    'Show which terminal?',
  );
  if (!picked) return;
  const { owner, service } = picked;
  if (await owner.terminals.show(service.supervisorPid, service.id)) return;
  // Started from the command line or another window: its output is in the log file all the same.
  await showLogFile(owner, service);
}

async function showLog(services: CommandServices, target: Target): Promise<void> {
  const ref = target && ('service' in target || 'id' in target) ? resolve(services, target) : undefined;
  if (ref?.service) await showLogFile(ref.owner, ref.service);
  else services.log.show();
}

async function openDashboard(services: CommandServices, target: Target): Promise<void> {
  const owner = await pickFolder(services, target);
  if (!owner) return;
  const dashboard = await import('./dashboard.ts');
  dashboard.openDashboard(owner, services.extensionUri);
}

async function verify(services: CommandServices, target: Target): Promise<unknown> {
  requireTrust();
  const owner = await pickFolder(services, target);
  if (!owner) return undefined;
  const { verifyFolder } = await import('./verify.ts');
  return verifyFolder(owner, services.extensionUri);
}

async function exportHistory(services: CommandServices, target: Target): Promise<void> {
  const owner = await pickFolder(services, target);
  if (!owner) return;
  const { exportHistoryOf } = await import('./history.ts');
  await exportHistoryOf(owner);
}

async function showLogFile(owner: FolderStack, service: ServiceSnapshot): Promise<void> {
  const uri = vscode.Uri.file(owner.stack.logFile(service.id));
  try {
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: true });
  } catch (cause) {
    throw new UserError(`${service.label} has no log yet (${uri.fsPath}). Start it first.`, { cause });
  }
}

/** Read-only pages; the path is what their tabs are called, the query which service they are about. */
const ENVIRONMENT_SCHEME = 'helix-environment';

function environmentPages({ stacks }: CommandServices): Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(ENVIRONMENT_SCHEME, {
    provideTextDocumentContent: async uri => {
      const ref = JSON.parse(uri.query) as ServiceRef;
      const owner = stacks.get(ref.folder);
      const { environmentText } = await import('./environment-view.ts');
      return owner ? environmentText(owner, toServiceId(ref.service)) : '';
    },
  });
}

async function showEnvironment(services: CommandServices, target: Target): Promise<void> {
  requireTrust();
  const picked = await pickService(services, target, () => true, 'Environment of which service?');
  if (!picked) return;
  const { owner, service } = picked;
  const query = JSON.stringify({ ...refOf(owner, service), at: Date.now() });
  const path = `/${service.label.replaceAll('/', ' ')}.env`;
  const uri = vscode.Uri.from({ scheme: ENVIRONMENT_SCHEME, path, query });
  const document = await vscode.workspace.openTextDocument(uri);
  await vscode.languages.setTextDocumentLanguage(document, 'properties');
  await vscode.window.showTextDocument(document, { preview: true });
}

async function runStart(
  services: CommandServices,
  owner: FolderStack,
  title: string,
  operation: (options: StartOptions) => Promise<StartOutcome>,
): Promise<StartOutcome> {
  const outcome = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (progress, token) =>
      operation({
        signal: abortSignalOf(token),
        onProgress: step => progress.report({ message: progressText(step) }),
      }),
  );
  await owner.publish();
  services.reporter.showStart(owner, outcome);
  return outcome;
}

const withStopProgress = (title: string, task: () => Promise<void>): Thenable<void> =>
  vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title }, task);

/** The one place where the editor's way to cancel becomes ours. */
function abortSignalOf(token: vscode.CancellationToken): AbortSignal {
  const controller = new AbortController();
  token.onCancellationRequested(() => controller.abort());
  return controller.signal;
}

function requireTrust(): void {
  if (vscode.workspace.isTrusted) return;
  throw new UserError(
    'HELIX starts nothing in an untrusted workspace, because its configuration names programs to run.',
    {
      action: { label: 'Manage workspace trust', kind: 'command', command: 'workbench.trust.manage' },
    },
  );
}

/** The folder that is meant: the target's, the only one, or the one picked. */
async function pickFolder(services: CommandServices, target: Target): Promise<FolderStack | undefined> {
  const named =
    target && 'owner' in target ? target.owner : target?.folder ? services.stacks.get(target.folder) : undefined;
  if (named) return named;
  const { all } = services.stacks;
  if (all.length === 0) throw noStack(services);
  if (all.length === 1) return all[0];
  const items = all.map(owner => ({ label: owner.folder.name, description: owner.folder.uri.fsPath, owner }));
  return (await vscode.window.showQuickPick(items, { placeHolder: vscode.l10n.t('Which folder?') }))?.owner;
}

function noStack(services: CommandServices): UserError {
  const folders = vscode.workspace.workspaceFolders ?? [];
  for (const folder of folders) {
    const problem = services.stacks.problemOf(folder);
    if (problem) return problem;
  }
  const demo = { label: 'Open the demo workspace', kind: 'command', command: COMMANDS.openDemo } as const;
  if (folders.length === 0)
    return new UserError('Open a folder with a HELIX first; there is none open.', { action: demo });
  return new UserError(
    `No HELIX was found in ${folders.map(folder => folder.name).join(', ')}: neither helix.config.json nor a HELIX v2.0 checkout.`,
    { action: demo },
  );
}

interface Picked {
  readonly owner: FolderStack;
  readonly service: ServiceSnapshot;
}

function resolve(services: CommandServices, target: Target): Picked | undefined {
  if (!target) return undefined;
  const owner = 'owner' in target ? target.owner : services.stacks.get(target.folder ?? '');
  const id = 'id' in target ? target.id : 'service' in target ? target.service : undefined;
  const service = owner && id ? snapshotOf(owner, id) : undefined;
  return owner && service ? { owner, service } : undefined;
}

/** The service that is meant: the target's, the only one that fits, or the one picked. */
async function pickService(
  services: CommandServices,
  target: Target,
  fits: (service: ServiceSnapshot) => boolean,
  question: string,
): Promise<Picked | undefined> {
  const named = resolve(services, target);
  if (named) return named;
  const { all } = services.stacks;
  if (all.length === 0) throw noStack(services);
  const items = all.flatMap(owner =>
    owner.stack.snapshot.services.filter(fits).map(service => ({
      label: `$(${lookOf(service).icon.replace('~spin', '')}) ${service.label}`,
      description: [portText(service), all.length > 1 ? owner.folder.name : ''].filter(Boolean).join('  '),
      detail: stateText(service, Date.now()),
      owner,
      service,
    })),
  );
  if (items.length === 0)
    throw new UserError('There is no service that fits: none is running. Run "HELIX: Start with dynamic ports".');
  return vscode.window.showQuickPick(items, { placeHolder: vscode.l10n.t(question), matchOnDescription: true });
}

function apiOf(services: CommandServices, target: Target): Target {
  if (target) return target;
  const withApi = services.stacks.all.filter(owner => snapshotOf(owner, 'api')?.url);
  if (withApi.length > 1) return undefined;
  const [owner] = withApi;
  if (!owner) throw new UserError('The API is not running. Run "HELIX: Start with dynamic ports".');
  return { folder: owner.folder.uri.toString(), service: 'api' };
}
