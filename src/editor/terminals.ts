import * as vscode from 'vscode';
import { within } from '../base/async.ts';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import type { PlannedService } from '../model/plan.ts';
import { withoutCertificates } from '../run/certificates.ts';
import type { Launched, Launcher } from '../session/stack.ts';

/** Variables of the extension host that mean nothing, or harm, in a service's environment. */
const HOST_ONLY = /^(VSCODE_|ELECTRON_|CHROME_|GDK_PIXBUF|APPLICATION_INSIGHTS)/;

/**
 * Runs supervisors in integrated terminals. After a reload of the window the terminals are still there but have lost
 * their names and options for us, so a terminal is recognised by its process id alone: it is the supervisor's.
 */
export class Terminals implements Launcher, Disposable {
  private readonly store = new DisposableStore();
  private readonly own = new Map<string, vscode.Terminal>();
  /** Who is told when these are closed. */
  private readonly waiting = new Map<vscode.Terminal, () => void>();
  private reveal: string | undefined;

  constructor(
    private readonly folder: vscode.WorkspaceFolder,
    private readonly supervisorProgram: string,
    private readonly prefix: () => string,
  ) {
    this.store.add(
      vscode.window.onDidCloseTerminal(closed => {
        for (const [id, terminal] of this.own) if (terminal === closed) this.own.delete(id);
        this.waiting.get(closed)?.();
        this.waiting.delete(closed);
      }),
    );
  }

  launch(service: Pick<PlannedService, 'id' | 'label'>, args: readonly string[]): Promise<Launched> {
    // One that still shows a dead supervisor's last words makes room for the new one.
    this.own.get(service.id)?.dispose();
    const terminal = vscode.window.createTerminal({
      name: `${this.prefix()}${service.label}`,
      shellPath: process.execPath,
      shellArgs: [this.supervisorProgram, ...args, '--editor'],
      cwd: this.folder.uri,
      env: { ...withoutCertificates(serviceEnvironment()), ELECTRON_RUN_AS_NODE: '1', COLORTERM: 'truecolor' },
      // Without it the editor marks the terminal as outdated whenever a port is published to terminals.
      strictEnv: true,
      iconPath: new vscode.ThemeIcon('server-process'),
    });
    this.own.set(service.id, terminal);
    if (this.reveal === service.id) {
      this.reveal = undefined;
      terminal.show(true);
    }
    return Promise.resolve({ ended: new Promise(resolve => this.waiting.set(terminal, () => resolve(undefined))) });
  }

  /** The next terminal of this service is shown as soon as it is there, without taking the focus. */
  revealNext(serviceId: string): void {
    this.reveal = serviceId;
  }

  /** Shows the terminal in which this supervisor runs; false if it is not one of this window's. */
  async show(supervisorPid: number | undefined, serviceId: string): Promise<boolean> {
    const terminal = (await terminalOf(supervisorPid)) ?? this.own.get(serviceId);
    terminal?.show();
    return terminal !== undefined;
  }

  dispose(): void {
    this.store.dispose();
  }
}

/** After a reload a terminal may need a moment until its process id is known again, or never get one. */
const PROCESS_ID_MS = 1_000;

async function terminalOf(pid: number | undefined): Promise<vscode.Terminal | undefined> {
  if (pid === undefined) return undefined;
  const terminals = await Promise.all(
    vscode.window.terminals.map(async terminal => ({
      terminal,
      pid: await within(PROCESS_ID_MS, Promise.resolve(terminal.processId)),
    })),
  );
  return terminals.find(one => one.pid === pid)?.terminal;
}

/** What the services get of the editor's own environment. */
export function serviceEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !HOST_ONLY.test(name)) env[name] = value;
  }
  return env;
}
