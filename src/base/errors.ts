/** What a user can do about an error: a label for a button, and what the button is. Adapters decide how to run it. */
export type ErrorAction =
  | { readonly label: string; readonly kind: 'command'; readonly command: string; readonly args?: readonly unknown[] }
  | { readonly label: string; readonly kind: 'open'; readonly path: string; readonly line?: number };

/**
 * An error meant to be read by a user: what happened (service, port, pid, file) and the next step.
 * Anything that is not a `UserError` is a defect of ours and is logged with its stack.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly action: ErrorAction | undefined;

  constructor(message: string, options: { action?: ErrorAction; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.action = options.action;
  }
}

export class CancelledError extends Error {
  override readonly name = 'CancelledError';
  constructor(message = 'Cancelled') {
    super(message);
  }
}

export const isCancelled = (error: unknown): boolean =>
  error instanceof CancelledError || (error instanceof Error && error.name === 'AbortError');

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The `code` of a Node system error such as `ENOENT`, or undefined. */
export const codeOf = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
