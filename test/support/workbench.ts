import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, BrowserContext, Locator, Page, Request } from 'playwright-core';
import type { Vscode } from './vscode.ts';
import { defaultTimeout, waitFor } from './wait.ts';
import { matches, settle, textsOf, type Matcher } from './workbench-dom.ts';
import { Notifications } from './workbench-notifications.ts';
import { StatusBar } from './workbench-status-bar.ts';
import { Terminals } from './workbench-terminals.ts';
import { TreeView } from './workbench-tree.ts';

export type Theme = 'dark' | 'light' | 'highContrast' | 'highContrastLight';

const themes: Record<Theme, { setting: string; label: string; cssClass: string }> = {
  dark: { setting: 'Default Dark Modern', label: 'Dark Modern', cssClass: 'vs-dark' },
  light: { setting: 'Default Light Modern', label: 'Light Modern', cssClass: 'vs' },
  highContrast: { setting: 'Default High Contrast', label: 'Dark High Contrast', cssClass: 'hc-black' },
  highContrastLight: { setting: 'Default High Contrast Light', label: 'Light High Contrast', cssClass: 'hc-light' },
};

export interface OpenOptions {
  readonly folder?: string;
  /** A `.code-workspace` file. With neither of both an empty window opens. */
  readonly workspaceFile?: string;
  readonly theme?: Theme;
  readonly size?: { readonly width: number; readonly height: number };
}

export interface OpenedLink {
  /** The address that was asked for, which is the one that `asExternalUri` made. */
  readonly requested: string;
  /** The address after redirects. */
  readonly url: string;
}

/** So long a palette is looked at before it is opened anew; a loaded machine takes its time to fill it. */
const PALETTE_MS = 8_000;

/** The workbench of a running VS Code in a browser, as a user sees and handles it. */
export class Workbench {
  /** All that are open, for the screenshot of a failure. Each test file is a bundle with its own copy of this class. */
  static get opened(): Set<Workbench> {
    const shared = globalThis as { helixWorkbenches?: Set<Workbench> };
    return (shared.helixWorkbenches ??= new Set());
  }

  readonly statusBar: StatusBar;
  readonly tree: TreeView;
  readonly notifications: Notifications;
  readonly terminals: Terminals;
  private readonly links: { requested: string; url: string }[] = [];
  private readonly consoleLines: string[] = [];

  private constructor(
    readonly page: Page,
    private readonly context: BrowserContext,
    private readonly vscode: Vscode,
  ) {
    this.statusBar = new StatusBar(page);
    this.tree = new TreeView(page);
    this.notifications = new Notifications(page);
    this.terminals = new Terminals(page, this.notifications);
    context.on('request', request => this.recordLink(request));
    page.on('console', message => this.consoleLines.push(`${message.type()}: ${message.text()}`));
  }

  /** Opens a window with an empty browser profile and waits until its extension host has loaded the extensions. */
  static async open(browser: Browser, vscode: Vscode, options: OpenOptions): Promise<Workbench> {
    await vscode.updateSettings({ 'workbench.colorTheme': themes[options.theme ?? 'dark'].setting });
    const context = await browser.newContext({ viewport: options.size ?? { width: 1440, height: 900 } });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const workbench = new Workbench(await context.newPage(), context, vscode);
    Workbench.opened.add(workbench);
    await workbench.page.goto(workbenchUrl(vscode, options));
    await workbench.untilReady();
    return workbench;
  }

  private async untilReady(): Promise<void> {
    await waitFor('the workbench and its extension host', () => this.page.evaluate(isReady), {
      timeout: 2 * defaultTimeout,
      seen: () => ({ url: this.page.url(), console: this.consoleLines.slice(-20), server: this.vscode.output() }),
    });
  }

  /** Reloads the window as a user does: the extension host starts again, terminals live on. */
  async reload(): Promise<void> {
    // Not the page's own reload, which leaves VS Code no time to keep what is open.
    // And it keeps the list of terminals with a delay.
    await sleep(1000);
    const loaded = this.page.waitForEvent('load', { timeout: defaultTimeout });
    await this.runCommand('Developer: Reload Window');
    await loaded;
    await this.untilReady();
  }

  /** Runs a command through the palette, as `Category: Title`. */
  async runCommand(title: string): Promise<void> {
    const what = `the command "${title}" in the palette`;
    const seen = (): Promise<string[]> => this.quickPickLabels();
    // Opened anew each time: a command that is enabled later does not come into a list that is shown already, and in a
    // window that has just been opened other parts still take the focus, which closes it.
    const index = await waitFor(
      what,
      async () => {
        await this.openPalette(title, PALETTE_MS);
        return waitFor(what, () => this.rowOf(title), { timeout: PALETTE_MS });
      },
      { seen },
    );
    await this.quickPickRows().nth(index.found).click();
  }

  /** The commands which the palette offers for a text; those that are disabled are not among them. */
  async commands(text: string): Promise<string[]> {
    await this.openPalette(text);
    const titles = await settle(() => this.quickPickLabels());
    await this.page.keyboard.press('Escape');
    return titles.filter(title => title.includes(text));
  }

  private async openPalette(text: string, timeout = defaultTimeout): Promise<void> {
    await this.page.bringToFront();
    await this.page.keyboard.press('Escape');
    await this.page.keyboard.press('F1');
    await this.quickInput().fill(`>${text}`, { timeout });
  }

  /** Waits for a quick pick and chooses the entry with this label. */
  async quickPick(label: Matcher): Promise<void> {
    await this.quickPickRows().first().waitFor({ timeout: defaultTimeout });
    // Rows out of sight do not exist in the page; typing brings the wanted one up.
    if (typeof label === 'string' && !(await this.quickPickLabels()).includes(label))
      await this.quickInput().fill(label);
    await this.pickRow(label, `the quick pick entry ${String(label)}`);
  }

  /** The labels of the quick pick that is shown now. */
  quickPickLabels(): Promise<string[]> {
    return textsOf(this.quickPickRows().locator('.quick-input-list-row:first-child .label-name'));
  }

  private async pickRow(label: Matcher, what: string): Promise<void> {
    const index = await waitFor(what, () => this.rowOf(label), { seen: () => this.quickPickLabels() });
    await this.quickPickRows().nth(index.found).click();
  }

  private async rowOf(label: Matcher): Promise<{ found: number } | false> {
    const found = (await this.quickPickLabels()).findIndex(text => matches(label, text));
    return found >= 0 && { found };
  }

  private quickPickRows(): Locator {
    return this.page.locator('.quick-input-widget .quick-input-list .monaco-list-row:visible');
  }

  private quickInput(): Locator {
    return this.page.locator('.quick-input-widget:visible input[type="text"]');
  }

  /** Waits for an input box, fills it in, and confirms. */
  async inputBox(text: string): Promise<void> {
    await this.quickInput().fill(text);
    await this.page.keyboard.press('Enter');
  }

  /** What an input box says beneath its field: its prompt, or why it refuses the text. */
  inputBoxMessage(): Promise<string> {
    return this.page.locator('.quick-input-widget:visible .quick-input-message').innerText();
  }

  /** Shows the view container whose icon in the activity bar has this title. */
  async openView(title: string): Promise<void> {
    // The title may be followed by a key binding or a badge.
    const icon = this.page.locator(`.activitybar .action-item:has(a[aria-label^=${JSON.stringify(title)}])`).first();
    const isShown = async (): Promise<boolean> =>
      (await textsOf(this.page.locator('.part.sidebar .composite.title h2:visible'))).some(text =>
        text.toLowerCase().startsWith(title.toLowerCase()),
      );
    // A click on the icon of what is shown would hide it.
    if (!(await isShown())) await icon.click();
    await waitFor(`the view container ${title}`, isShown);
  }

  /** The buttons of a modal dialog, or undefined when none is shown. */
  async dialog(): Promise<{ message: string; buttons: string[] } | undefined> {
    const box = this.page.locator('.monaco-dialog-box:visible');
    if (!(await box.count())) return undefined;
    const message = await box.locator('.dialog-message-container').innerText();
    return { message, buttons: await textsOf(box.locator('.monaco-button')) };
  }

  /** Waits for a modal dialog and presses one of its buttons. */
  async clickDialogButton(label: string): Promise<void> {
    await waitFor(`a dialog with the button "${label}"`, async () => (await this.dialog())?.buttons.includes(label), {
      seen: () => this.dialog(),
    });
    await this.page.locator('.monaco-dialog-box .monaco-button').getByText(label, { exact: true }).click();
  }

  /** The links which were opened outside the workbench, oldest first. */
  get openedLinks(): readonly OpenedLink[] {
    return this.links;
  }

  /** Waits for a link to have been opened, asked for or in the end, and answers the newest such one. */
  waitForLink(address: RegExp): Promise<OpenedLink> {
    return waitFor(
      `an opened link like ${address}`,
      () => this.links.findLast(link => address.test(link.url) || address.test(link.requested)),
      { seen: () => this.links },
    );
  }

  private recordLink(request: Request): void {
    if (!request.isNavigationRequest() || isOf(this.page, request)) return;
    const origin = firstOf(request);
    const known = this.links.at(-1);
    if (origin !== request && known?.requested === origin.url()) known.url = request.url();
    else this.links.push({ requested: request.url(), url: request.url() });
  }

  /** The text of the clipboard. */
  clipboard(): Promise<string> {
    return this.page.evaluate(() => navigator.clipboard.readText());
  }

  /** What is to be seen of the active editor's text. */
  async editorText(): Promise<string> {
    const lines = await this.page.locator('.editor-instance .view-lines .view-line').allInnerTexts();
    return lines.join('\n').replaceAll('\u00a0', ' ');
  }

  /** What the Output panel shows. Long output is cut to what is in sight. */
  async outputText(): Promise<string> {
    const lines = this.page.locator(
      '.part.panel .output-view .view-line:visible, .part.panel .view-lines .view-line:visible',
    );
    return (await textsOf(lines)).join('\n').replaceAll('\u00a0', ' ');
  }

  /** Switches the colour theme and waits for it to be shown. */
  async setTheme(theme: Theme): Promise<void> {
    await this.runCommand('Preferences: Color Theme');
    await this.quickPick(themes[theme].label);
    await this.page.locator(`.monaco-workbench.${themes[theme].cssClass}`).waitFor({ timeout: defaultTimeout });
  }

  async screenshot(file: string): Promise<void> {
    await mkdir(dirname(file), { recursive: true });
    await this.page.screenshot({ path: file });
  }

  /** Closes the window. Its terminals live on until the server ends. */
  async dispose(): Promise<void> {
    Workbench.opened.delete(this);
    await this.context.close();
  }
}

/** The address at which a browser shows a folder or workspace. */
export function workbenchUrl(vscode: Vscode, options: OpenOptions): string {
  // Slashes stay as they are, for people who read the address.
  const path = (text: string): string => encodeURIComponent(text).replaceAll('%2F', '/');
  if (options.workspaceFile) return `${vscode.url}/?workspace=${path(options.workspaceFile)}`;
  return options.folder ? `${vscode.url}/?folder=${path(options.folder)}` : `${vscode.url}/?ew=true`;
}

// VS Code marks the steps of its start in the page's own performance log.
function isReady(): boolean {
  const marks = new Set(performance.getEntriesByType('mark').map(mark => mark.name));
  return marks.has('code/didStartWorkbench') && marks.has('code/didLoadExtensions');
}

function isOf(page: Page, request: Request): boolean {
  try {
    return request.frame().page() === page;
  } catch {
    return false; // A new page: its frame cannot be told before its first answer.
  }
}

function firstOf(request: Request): Request {
  let first = request;
  for (let from = first.redirectedFrom(); from; from = first.redirectedFrom()) first = from;
  return first;
}
