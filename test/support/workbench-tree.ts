import type { Locator, Page } from 'playwright-core';
import { waitFor } from './wait.ts';
import { matches, textsOf, type Matcher } from './workbench-dom.ts';

export interface TreeRow {
  readonly label: string;
  readonly description: string;
  /** 1 for the top rows. */
  readonly level: number;
  /** Undefined for a row without children. */
  readonly expanded: boolean | undefined;
  readonly icons: readonly string[];
}

/** The tree in the side bar. Only rows in sight exist in the page; a view as tall as the window shows some thirty. */
export class TreeView {
  constructor(private readonly page: Page) {}

  async rows(): Promise<TreeRow[]> {
    const found = await this.page.locator('.part.sidebar .pane-body .monaco-list-row:visible').evaluateAll(nodes =>
      nodes.map(node => ({
        top: node.getBoundingClientRect().top,
        row: {
          label: node.querySelector<HTMLElement>('.label-name')?.innerText.trim() ?? '',
          description: node.querySelector<HTMLElement>('.label-description')?.innerText.trim() ?? '',
          level: Number(node.getAttribute('aria-level')),
          expanded: node.hasAttribute('aria-expanded') ? node.getAttribute('aria-expanded') === 'true' : undefined,
          icons: [...node.querySelectorAll('.custom-view-tree-node-item-icon')].flatMap(icon =>
            [...icon.classList]
              .filter(name => /^codicon-(?!colored)/.test(name))
              .map(name => name.slice('codicon-'.length)),
          ),
        },
      })),
    );
    return found.sort((a, b) => a.top - b.top).map(one => one.row);
  }

  /** Waits for a row with this label, and where told for one that is as the test wants it. */
  async row(label: Matcher, condition: (row: TreeRow) => boolean = () => true): Promise<TreeRow> {
    return waitFor(
      `a tree row ${String(label)}${condition.length ? ` with ${condition.toString()}` : ''}`,
      async () => (await this.rows()).find(row => matches(label, row.label) && condition(row)),
      { seen: () => this.rows() },
    );
  }

  async expand(label: Matcher): Promise<void> {
    if ((await this.row(label)).expanded) return;
    await (await this.element(label)).locator('.monaco-tl-twistie').click();
    await this.row(label, row => row.expanded === true);
  }

  async click(label: Matcher): Promise<void> {
    await (await this.element(label)).click();
  }

  /** Presses one of the buttons that a row shows under the pointer. */
  async action(label: Matcher, title: string): Promise<void> {
    const row = await this.element(label);
    await row.hover();
    await row.locator(`.actions .action-label[aria-label^=${JSON.stringify(title)}]`).click();
  }

  /** The titles of the buttons that a row shows under the pointer. */
  async actions(label: Matcher): Promise<string[]> {
    const row = await this.element(label);
    await row.hover();
    return row
      .locator('.actions .action-label')
      .evaluateAll(nodes => nodes.map(node => node.getAttribute('aria-label') ?? ''));
  }

  /** The entries of a row's context menu. */
  async contextMenuItems(label: Matcher): Promise<string[]> {
    const entries = await textsOf(await this.openContextMenu(label));
    await this.page.keyboard.press('Escape');
    return entries.filter(Boolean);
  }

  /** Opens a row's context menu and chooses an entry. */
  async contextMenu(label: Matcher, entry: string): Promise<void> {
    const entries = await this.openContextMenu(label);
    const wanted = entries.filter({ hasText: entry });
    await waitFor(`the entry "${entry}" in the context menu to be taken`, async () => {
      // A menu ignores the mouse for its first tenth of a second.
      if (await wanted.count()) await wanted.first().click({ timeout: 1000 });
      return (await entries.count()) === 0;
    });
  }

  private async openContextMenu(label: Matcher): Promise<Locator> {
    await (await this.element(label)).click({ button: 'right' });
    const entries = this.page.locator('.monaco-menu .action-label:visible');
    await entries.first().waitFor();
    return entries;
  }

  /** Presses a button in the view's title. */
  async titleAction(title: string): Promise<void> {
    const sidebar = this.page.locator('.part.sidebar');
    await sidebar.hover();
    await sidebar.locator(`.title-actions .action-label[aria-label^=${JSON.stringify(title)}]:visible`).click();
  }

  /** What the view shows while it has no rows. */
  async welcome(): Promise<{ text: string; buttons: string[] }> {
    const content = this.page.locator('.part.sidebar .welcome-view-content:visible');
    await content.first().waitFor();
    return { text: await content.innerText(), buttons: await textsOf(content.locator('.monaco-button')) };
  }

  async clickWelcomeButton(label: string): Promise<void> {
    const buttons = this.page.locator('.part.sidebar .welcome-view-content .monaco-button');
    await buttons.getByText(label, { exact: true }).click();
  }

  private async element(label: Matcher): Promise<Locator> {
    const { label: text } = await this.row(label);
    const name = this.page.locator('.label-name').getByText(text, { exact: true });
    return this.page.locator('.part.sidebar .pane-body .monaco-list-row:visible', { has: name }).first();
  }
}
