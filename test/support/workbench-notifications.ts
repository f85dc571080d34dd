import { setTimeout as sleep } from 'node:timers/promises';
import type { Locator, Page } from 'playwright-core';
import { waitFor } from './wait.ts';

export interface Notification {
  readonly message: string;
  readonly severity: 'error' | 'warning' | 'info';
  readonly buttons: readonly string[];
}

const listed =
  '.notifications-toasts .notification-list-item:visible, .notifications-center.visible .notification-list-item';

export class Notifications {
  constructor(private readonly page: Page) {}

  /** Those on the screen: as toasts, or in the notification centre while that is open. */
  all(): Promise<Notification[]> {
    return this.page.locator(listed).evaluateAll(nodes =>
      nodes.map(node => {
        const icon = node.querySelector('.notification-list-item-icon')?.classList;
        return {
          message: node.querySelector<HTMLElement>('.notification-list-item-message')?.innerText.trim() ?? '',
          severity: icon?.contains('codicon-error') ? 'error' : icon?.contains('codicon-warning') ? 'warning' : 'info',
          buttons: [
            ...node.querySelectorAll<HTMLElement>('.notification-list-item-buttons-container .monaco-button'),
          ].map(button => button.innerText.trim()),
        } satisfies Notification;
      }),
    );
  }

  /** All that were shown and not closed, also those that are on the screen no more. */
  async kept(): Promise<Notification[]> {
    await this.openCentre();
    return this.all();
  }

  /** Waits for a message. A toast hides after some seconds, so the centre, which keeps it, is opened when none is seen. */
  async waitFor(message: RegExp): Promise<Notification> {
    const find = async (): Promise<Notification | undefined> =>
      (await this.all()).find(one => message.test(one.message));
    const openAfter = Date.now() + 3000;
    return waitFor(
      `a notification like ${message}`,
      async () => {
        const found = await find();
        if (!found && Date.now() > openAfter) await this.openCentre();
        return found;
      },
      { seen: () => this.all() },
    );
  }

  /** Waits for a message and presses one of its buttons. */
  async click(message: RegExp, button: string): Promise<void> {
    await this.waitFor(message);
    const item = this.page.locator(listed).filter({ hasText: message }).first();
    // In the centre the buttons of a message show once it is expanded, which being focused does.
    await item.hover();
    await item.locator('.monaco-button').getByText(button, { exact: true }).click();
  }

  /** Closes all of them. A running progress stays. */
  async clear(): Promise<void> {
    if (await this.page.locator(listed).count()) {
      await this.openCentre();
      // Disabled while there is nothing but what cannot be closed.
      const all = this.page.locator('.notifications-center .codicon-notifications-clear-all:not(.disabled)');
      if (await all.count()) await all.click();
      await this.page.keyboard.press('Escape');
      await this.centre().waitFor({ state: 'hidden' });
    }
  }

  /** Takes away what lies over the lower right corner; the centre keeps it. */
  async hide(): Promise<void> {
    if (!(await this.page.locator(listed).count())) return;
    await this.openCentre();
    await this.centre().locator('.action-label[aria-label^="Hide Notifications"]').click();
  }

  private async openCentre(): Promise<void> {
    if (await this.centre().isVisible()) return;
    await this.page.locator('.statusbar-item[id="status.notifications"] a').click();
    await sleep(200);
  }

  private centre(): Locator {
    return this.page.locator('.notifications-center.visible');
  }
}
