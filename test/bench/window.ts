import { format } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import type { Vscode } from '../support/vscode.ts';
import { waitFor } from '../support/wait.ts';
import { program } from './occupants.ts';

export interface WindowOptions {
  readonly folder: string;
  readonly extension: string;
  /** One of `programs`, run in the window's extension host. */
  readonly program: string;
}

/** A window of a real VS Code (started as test driver) with a program in its extension host. */
export class BenchWindow {
  private code: number | undefined;
  private readonly lines: string[] = [];

  private constructor(
    readonly page: Page,
    private readonly vscode: Vscode,
  ) {}

  static async open(browser: Browser, vscode: Vscode, options: WindowOptions): Promise<BenchWindow> {
    const window = new BenchWindow(await browser.newPage(), vscode);
    const { page, lines } = window;
    await page.exposeFunction('codeAutomationLog', (level: string, args: unknown[]) => {
      lines.push(`${level} ${format(...args)}`);
    });
    await page.exposeFunction('codeAutomationExit', (code: number) => (window.code = code));
    await page.goto(addressOf(vscode, options));
    return window;
  }

  /** Waits until the program has ended well. */
  async ended(): Promise<void> {
    await waitFor('the end of the program in the extension host', () => this.code !== undefined, {
      timeout: 180_000,
      interval: 50,
      seen: () => this.seen(),
    });
    this.assertWell();
  }

  /** @throws if the program has failed */
  assertWell(): void {
    if (this.code) throw new Error(`The program in the extension host failed:\n${this.seen()}`);
  }

  private seen(): string {
    return [...this.lines.slice(-40), this.vscode.output()].join('\n');
  }

  close(): Promise<void> {
    return this.page.close();
  }
}

function addressOf(vscode: Vscode, { folder, extension, program: name }: WindowOptions): string {
  const remote = (path: string): string => `vscode-remote://127.0.0.1:${vscode.port}${path}`;
  const url = new URL(vscode.url);
  url.searchParams.set('folder', folder);
  url.searchParams.set(
    'payload',
    JSON.stringify([
      ['extensionDevelopmentPath', remote(extension)],
      ['extensionTestsPath', remote(program(name))],
    ]),
  );
  return url.href;
}
