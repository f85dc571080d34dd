type Child = Node | string;

interface Properties {
  readonly class?: string;
  readonly id?: string;
  readonly role?: string;
  readonly title?: string;
  readonly tabIndex?: number;
  readonly hidden?: boolean;
  readonly aria?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
}

/** The one way to make elements here. Text becomes text nodes: whatever services print, nothing of it is markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  const { class: className, aria = {}, data = {}, role, ...rest } = properties;
  if (className !== undefined) made.className = className;
  if (role !== undefined) made.setAttribute('role', role);
  for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
  Object.assign(made.dataset, data);
  Object.assign(made, rest);
  made.append(...children);
  return made;
}

export function button(label: string, onClick: () => void, properties: Properties = {}): HTMLButtonElement {
  const made = element('button', properties, label);
  made.type = 'button';
  made.addEventListener('click', onClick);
  return made;
}

/** Writes only what changed: a screen reader would read the same text again, and a selection in it would be lost. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Makes `parent` hold just these, in this order, and leaves alone what stands right already: it may have the focus. */
export function setChildren(parent: Element, children: readonly Element[]): void {
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild!.remove();
}

/** An id that may stand in `id` and `aria-labelledby`. */
let made = 0;
export const newId = (word: string): string => `${word}-${++made}`;
