/** All times in milliseconds. The defaults are those of the design: 250 ms to 30 s, reset after 30 s healthy. */
export interface RestartPolicyOptions {
  readonly policy: 'always' | 'on-failure' | 'never';
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  /** More exits than this within the window are a crash loop. */
  readonly maxExits: number;
  readonly windowMs: number;
  /** So long healthy, and the past is forgotten. */
  readonly resetMs: number;
}

export const DEFAULT_RESTART: RestartPolicyOptions = {
  policy: 'always',
  initialDelayMs: 250,
  maxDelayMs: 30_000,
  maxExits: 5,
  windowMs: 60_000,
  resetMs: 30_000,
};

export interface ExitOutcome {
  readonly at: number;
  readonly healthyForMs: number;
  readonly clean: boolean;
}

export type RestartDecision =
  | { readonly kind: 'retry'; readonly delayMs: number; readonly policy: RestartPolicy }
  | { readonly kind: 'crashLoop'; readonly exits: number }
  | { readonly kind: 'leave' };

/**
 * When to start a service again after it ended: an immutable value, `next()` gives the decision and the policy
 * to go on with. Exponential backoff with equal jitter: half the delay is certain, half is drawn
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that services that
 * fell together do not come back together.
 */
export class RestartPolicy {
  constructor(
    private readonly options: RestartPolicyOptions = DEFAULT_RESTART,
    private readonly exits: readonly number[] = [],
    private readonly random: () => number = Math.random,
  ) {}

  next(outcome: ExitOutcome): RestartDecision {
    const { policy, initialDelayMs, maxDelayMs, maxExits, windowMs, resetMs } = this.options;
    if (policy === 'never' || (policy === 'on-failure' && outcome.clean)) return { kind: 'leave' };
    const past = outcome.healthyForMs >= resetMs ? [] : this.exits.filter(at => outcome.at - at < windowMs);
    const exits = [...past, outcome.at];
    if (exits.length > maxExits) return { kind: 'crashLoop', exits: exits.length };
    const full = Math.min(maxDelayMs, initialDelayMs * 2 ** (exits.length - 1));
    const delayMs = Math.round(full / 2 + (full / 2) * this.random());
    return { kind: 'retry', delayMs, policy: new RestartPolicy(this.options, exits, this.random) };
  }
}
