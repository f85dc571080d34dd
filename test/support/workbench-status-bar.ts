import type { Locator, Page } from 'playwright-core';
import { waitFor } from './wait.ts';
import { matches, type Matcher } from './workbench-dom.ts';

export interface StatusBarItem {
  /** `publisher.extension.item` for one of an extension. */
  readonly id: string;
  readonly text: string;
  readonly ariaLabel: string;
  /** Codicons in it, without their prefix. */
  readonly icons: readonly string[];
  /** Its background, where it has one. */
  readonly kind: 'error' | 'warning' | undefined;
}

export interface Hover {
  readonly text: string;
  readonly links: readonly string[];
}

export class StatusBar {
  constructor(private readonly page: Page) {}

  /** What is shown now, from left to right. */
  async items(): Promise<StatusBarItem[]> {
    return this.page.locator('.statusbar-item:visible').evaluateAll(nodes =>
      nodes.map(node => ({
        id: node.id,
        text: (node as HTMLElement).innerText.trim(),
        ariaLabel: node.getAttribute('aria-label') ?? '',
        icons: [...node.querySelectorAll('.codicon')].flatMap(icon =>
          [...icon.classList].filter(name => name.startsWith('codicon-')).map(name => name.slice('codicon-'.length)),
        ),
        kind: node.classList.contains('error-kind')
          ? ('error' as const)
          : node.classList.contains('warning-kind')
            ? ('warning' as const)
            : undefined,
      })),
    );
  }

  /** Waits for an item whose text, id or label matches. */
  async item(matcher: Matcher): Promise<StatusBarItem> {
    return waitFor(
      `a status bar item ${String(matcher)}`,
      async () =>
        (await this.items()).find(item => [item.text, item.id, item.ariaLabel].some(text => matches(matcher, text))),
      { seen: () => this.items() },
    );
  }

  async click(matcher: Matcher): Promise<void> {
    await (await this.label(matcher)).click();
  }

  /** Rests the pointer on an item and reads what appears. */
  async hover(matcher: Matcher): Promise<Hover> {
    const hover = await this.showHover(matcher);
    const links = await hover.locator('a').allInnerTexts();
    return { text: await hover.innerText(), links };
  }

  async clickHoverLink(matcher: Matcher, link: string): Promise<void> {
    const hover = await this.showHover(matcher);
    await hover.locator('a').getByText(link, { exact: true }).click();
  }

  private async showHover(matcher: Matcher): Promise<Locator> {
    await this.page.mouse.move(0, 0);
    await (await this.label(matcher)).hover();
    const hover = this.page.locator('.monaco-hover:visible').last();
    await hover.waitFor();
    return hover;
  }

  private async label(matcher: Matcher): Promise<Locator> {
    const { id } = await this.item(matcher);
    return this.page.locator(`.statusbar-item[id=${JSON.stringify(id)}] a.statusbar-item-label`);
  }
}
