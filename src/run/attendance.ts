import { type Clock, systemClock, type TimerHandle } from '../base/async.ts';

/** A window that reloads is back within seconds; a slow machine is given two minutes. */
export const GRACE_MS = 120_000;

/**
 * Whether an editor still looks after services that run in its terminals. An extension that is disabled or uninstalled
 * says goodbye and does not come back, and then its services end. An extension host that crashes or is killed says
 * nothing: the editor is not what keeps services alive.
 */
export class Attendance {
  private readonly editors = new Set<object>();
  private timer: TimerHandle;

  constructor(
    /** Told which file the last editor had published to. */
    private readonly onDeserted: (envFile: string | undefined) => void,
    private readonly clock: Clock = systemClock,
    private readonly graceMs = GRACE_MS,
  ) {}

  attend(editor: object): void {
    this.editors.add(editor);
    this.clock.clearTimeout(this.timer);
  }

  /** The editor ends in order: it reloads, or the extension is being disabled. */
  leave(editor: object, envFile?: string): void {
    if (!this.editors.delete(editor) || this.editors.size > 0) return;
    this.timer = this.clock.setTimeout(() => this.onDeserted(envFile), this.graceMs);
  }

  /** The editor's connection broke without a word. */
  lost(editor: object): void {
    this.editors.delete(editor);
  }
}
