import type { Locator, Page } from 'playwright-core';
import { waitFor } from './wait.ts';
import type { Notifications } from './workbench-notifications.ts';
import { matches, textsOf, type Matcher } from './workbench-dom.ts';

/** The terminals of the panel. VS Code draws their tabs while the panel shows them. */
export class Terminals {
  constructor(
    private readonly page: Page,
    private readonly notifications: Notifications,
  ) {}

  /** The names on the tabs, top to bottom; none while the panel is hidden. */
  names(): Promise<string[]> {
    return textsOf(this.tabs().locator('.label-name'));
  }

  async waitForNames(names: readonly string[]): Promise<void> {
    await waitFor(
      `the terminals ${names.join(', ')}`,
      async () => {
        const seen = await this.names();
        return names.every(name => seen.includes(name));
      },
      { seen: () => this.names() },
    );
  }

  /** Brings a terminal to the front and reads its whole buffer, wrapped lines joined. */
  async text(name: Matcher): Promise<string> {
    await this.select(name);
    return this.read();
  }

  /** The buffer of the terminal that is in front now. */
  shownText(): Promise<string> {
    return this.read();
  }

  /** Waits until a terminal's text matches. */
  async waitForText(name: Matcher, text: RegExp): Promise<string> {
    await this.select(name);
    return waitFor(
      `the text ${text} in the terminal ${String(name)}`,
      async () => {
        const read = await this.read();
        return text.test(read) && read;
      },
      { seen: () => this.read() },
    );
  }

  async type(name: Matcher, text: string): Promise<void> {
    await this.focus(name);
    await this.page.keyboard.type(text);
  }

  /** Presses a key in a terminal, `Control+C` for example. */
  async press(name: Matcher, key: string): Promise<void> {
    await this.focus(name);
    await this.page.keyboard.press(key);
  }

  /** Closes a terminal with the bin on its tab. */
  async close(name: Matcher): Promise<void> {
    await this.select(name);
    const tab = await this.tab(name);
    await tab.hover();
    await tab.locator('.codicon-trashcan').click();
  }

  async select(name: Matcher): Promise<void> {
    const tab = await this.tab(name);
    // On the icon: in a narrow list the buttons that split and kill come to lie in the middle as soon as it is hovered.
    const position = { x: 12, y: 8 };
    // Notifications may lie over the tabs.
    await tab.click({ position, timeout: 2000 }).catch(async () => {
      await this.notifications.hide();
      await tab.click({ position });
    });
    await waitFor(
      `the terminal ${String(name)} in front`,
      async () => {
        const active = this.page.locator('.terminal-tabs-entry.is-active:visible .label-name');
        return (await textsOf(active)).some(text => matches(name, text)) && (await this.wrapper().count()) === 1;
      },
      { seen: () => this.names() },
    );
  }

  private async focus(name: Matcher): Promise<void> {
    await this.select(name);
    await this.wrapper().locator('.xterm-helper-textarea').focus();
  }

  private read(): Promise<string> {
    return this.wrapper().evaluate(node => {
      // VS Code hangs xterm's own object on the element, for its tests and ours.
      const { xterm } = node as unknown as { xterm?: XtermLike };
      if (!xterm) return '';
      const { active } = xterm.buffer;
      let text = '';
      for (let i = 0; i < active.length; i++) {
        const line = active.getLine(i);
        if (line) text += (line.isWrapped || i === 0 ? '' : '\n') + line.translateToString(true);
      }
      return text.trimEnd();
    });
  }

  private async tab(name: Matcher): Promise<Locator> {
    const index = await waitFor(
      `a terminal ${String(name)}`,
      async () => {
        const found = (await this.names()).findIndex(text => matches(name, text));
        return found >= 0 && { found };
      },
      { seen: () => this.names() },
    );
    return this.tabs().nth(index.found);
  }

  private tabs(): Locator {
    return this.page.locator('.terminal-tabs-entry:visible');
  }

  private wrapper(): Locator {
    return this.page.locator('.terminal-wrapper.active:visible');
  }
}

interface XtermLike {
  buffer: {
    active: {
      length: number;
      getLine(index: number): { isWrapped: boolean; translateToString(trimRight: boolean): string } | undefined;
    };
  };
}
