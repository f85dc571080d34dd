import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import {
  DEFAULT_RESTART,
  type ExitOutcome,
  type RestartDecision,
  RestartPolicy,
  type RestartPolicyOptions,
} from '../../../src/model/restart-policy.ts';

const crash = (at: number, healthyForMs = 0): ExitOutcome => ({ at, healthyForMs, clean: false });

/** Answers for one exit after another, as far as the policy goes on. */
function decisions(exits: readonly ExitOutcome[], options: Partial<RestartPolicyOptions> = {}, random = 1): string[] {
  let policy: RestartPolicy | undefined = new RestartPolicy({ ...DEFAULT_RESTART, ...options }, [], () => random);
  const said: string[] = [];
  for (const exit of exits) {
    if (!policy) break;
    const decision: RestartDecision = policy.next(exit);
    said.push(decision.kind === 'retry' ? String(decision.delayMs) : decision.kind);
    policy = decision.kind === 'retry' ? decision.policy : undefined;
  }
  return said;
}

const every = (ms: number, count: number, healthyForMs = 0): ExitOutcome[] =>
  Array.from({ length: count }, (_, index) => crash(index * ms, healthyForMs));

describe('restart policy', () => {
  it('doubles the pause from exit to exit, and calls the sixth within a minute a crash loop', () => {
    assert.deepEqual(decisions(every(100, 6)), ['250', '500', '1000', '2000', '4000', 'crashLoop']);
  });

  it('draws half of each pause', () => {
    assert.deepEqual(decisions(every(100, 3), {}, 0), ['125', '250', '500']);
    assert.deepEqual(decisions(every(100, 3), {}, 0.5), ['188', '375', '750']);
  });

  it('never pauses longer than the limit', () => {
    const options = { maxDelayMs: 1_500, maxExits: 100 };
    assert.deepEqual(decisions(every(1, 5), options), ['250', '500', '1000', '1500', '1500']);
    const long = decisions(every(1, 2_000), { maxExits: 10_000 });
    assert.equal(long.at(-1), '30000', 'however often it happened');
  });

  it('does not count exits from before the window', () => {
    assert.deepEqual(decisions(every(60_000, 8)), Array<string>(8).fill('250'));
    assert.deepEqual(decisions(every(59_999, 4)), ['250', '500', '500', '500']);
  });

  it('forgets the past after a while of health', () => {
    const exits = [...every(10, 4), crash(100, 30_000), crash(200)];
    assert.deepEqual(decisions(exits), ['250', '500', '1000', '2000', '250', '500']);
    assert.equal(decisions([...every(10, 4), crash(100, 29_999)]).at(-1), '4000');
  });

  it('leaves a service at its end by the policy never, and at a clean one by on-failure', () => {
    const clean = { at: 0, healthyForMs: 0, clean: true };
    assert.deepEqual(decisions([crash(0)], { policy: 'never' }), ['leave']);
    assert.deepEqual(decisions([clean], { policy: 'never' }), ['leave']);
    assert.deepEqual(decisions([clean], { policy: 'on-failure' }), ['leave']);
    assert.deepEqual(decisions([crash(0)], { policy: 'on-failure' }), ['250']);
    assert.deepEqual(decisions([clean], { policy: 'always' }), ['250']);
  });

  it('is told by maxExits of 0 to give up at once', () => {
    assert.deepEqual(decisions([crash(0)], { maxExits: 0 }), ['crashLoop']);
  });

  it('is a value: asked twice it answers the same', () => {
    const policy = new RestartPolicy(DEFAULT_RESTART, [], () => 0.25);
    const strip = (decision: RestartDecision): unknown => JSON.parse(JSON.stringify(decision));
    policy.next(crash(1));
    assert.deepEqual(
      strip(policy.next(crash(2))),
      strip(new RestartPolicy(DEFAULT_RESTART, [], () => 0.25).next(crash(2))),
    );
  });

  it('keeps every pause between half of the full one and the full one', () => {
    const options = fc.record({
      initialDelayMs: fc.integer({ min: 1, max: 5_000 }),
      maxDelayMs: fc.integer({ min: 1, max: 60_000 }),
      maxExits: fc.integer({ min: 1, max: 20 }),
    });
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(options, random, fc.integer({ min: 1, max: 20 }), (changes, drawn, count) => {
        const said = decisions(every(1, count), changes, drawn);
        for (const [index, pause] of said.entries()) {
          const full = Math.min(changes.maxDelayMs, changes.initialDelayMs * 2 ** index);
          if (index >= changes.maxExits) assert.equal(pause, 'crashLoop');
          else assert.ok(Number(pause) >= Math.floor(full / 2) && Number(pause) <= full, `${pause} of ${full}`);
        }
      }),
    );
  });
});
