import { readFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';
import { ensureVscode, linkExtension, startVscode, type Vscode } from '../support/vscode.ts';
import { Workbench } from '../support/workbench.ts';
import { type Lab, repository } from './lab.ts';
import { below, type Process, processes } from './proc.ts';

/** VS Code starts a killed extension host again by itself; after the third within minutes it asks first. */
const RESTART_MS = 5_000;
const LOOK_MS = 50;

/** A window of a real VS Code on the lab's folder: its extension keeps the stack, shows it and writes the settings. */
export class Window {
  private constructor(
    private readonly lab: Lab,
    private readonly vscode: Vscode,
    private readonly browser: Browser,
    private readonly workbench: Workbench,
  ) {}

  /** Starts the services as well, in the window's terminals. */
  static async open(lab: Lab): Promise<Window> {
    const install = await ensureVscode('newest');
    for (const name of ['package.json', 'package.nls.json', 'media'])
      await cp(join(repository, name), join(lab.root, name), { recursive: true });
    const extensionsDir = join(lab.root, 'extensions');
    await mkdir(extensionsDir);
    await linkExtension(lab.root, extensionsDir);
    const vscode = await startVscode(install, { extensionsDir, env: { HELIX_PORTS_HOME: lab.home } });
    lab.editor = vscode.pid;
    const browser = await launchBrowser();
    const workbench = await Workbench.open(browser, vscode, { folder: lab.folder });
    await workbench.runCommand('HELIX: Start with dynamic ports');
    return new Window(lab, vscode, browser, workbench);
  }

  private hosts(): Process[] {
    const all = processes();
    const tree = below(all, [this.vscode.pid]);
    return all.filter(one => tree.has(one.pid) && one.command.includes('--type=extensionHost'));
  }

  /** kill -9 of the extension host, until there is another. */
  async killHost(): Promise<void> {
    const killed = this.hosts();
    await this.lab.kill(...killed);
    for (const limit = Date.now() + RESTART_MS; this.hosts().length === 0; await sleep(LOOK_MS)) {
      if (Date.now() < limit) continue;
      // As a user does who is asked: the window is loaded again.
      await this.workbench.page.reload();
      while (this.hosts().length === 0) await sleep(LOOK_MS);
    }
  }

  /** What the window shows or has written that is not so. */
  async violations(): Promise<string[]> {
    const [api, proxy] = [this.lab.row('api'), this.lab.row('proxy')];
    const found: string[] = [];
    const setting = settingOf(this.lab.folder);
    if (setting !== proxy?.url) found.push(`the settings say ${String(setting)}, not ${proxy?.url}`);
    const shown = (await this.workbench.statusBar.items()).map(item => item.text);
    if (!shown.includes(`API :${api?.port}`))
      found.push(`the status bar shows ${shown.join(' | ')}, not :${api?.port}`);
    return found;
  }

  async dispose(): Promise<void> {
    await this.workbench.dispose();
    await this.browser.close();
    await this.vscode.dispose();
  }
}

function settingOf(folder: string): unknown {
  try {
    const text = readFileSync(join(folder, '.vscode', 'settings.json'), 'utf8');
    return (JSON.parse(text) as Record<string, unknown>)['helix.apiUrl'];
  } catch (error) {
    return error;
  }
}
