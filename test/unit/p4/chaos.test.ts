import assert from 'node:assert/strict';
import { chaos } from '../../chaos/run.ts';

const SEED = 3;
const ROUNDS = 12;

describe('a sequence of kills, hangs, thefts, races and damage', () => {
  it(`leaves a demo that is whole again after each of ${ROUNDS} events`, async function () {
    if (process.platform !== 'linux') return this.skip();
    this.timeout(900_000);
    const lines: string[] = [];
    const { rounds, violations } = await chaos({
      rounds: ROUNDS,
      seed: SEED,
      // Whether it comes back is asked here; how fast, on a machine that is not shared with a whole suite.
      limitMs: Infinity,
      say: line => lines.push(line),
    });
    assert.deepEqual(violations, [], lines.join('\n'));
    assert.equal(rounds.length, ROUNDS);
  });
});
