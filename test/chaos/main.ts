import { parseArgs } from 'node:util';
import { runMain } from '../support/mocha-runner.ts';
import { chaos, type Round, seconds } from './run.ts';

const USAGE = 'usage: npm run chaos -- [--rounds N] [--seed S] [--minutes M] [--window]';

/** Exit codes: 0 clean, 1 something was violated, 2 wrong arguments. */
runMain(async () => {
  if (process.platform !== 'linux') {
    console.error('The chaos run reads /proc and so runs on Linux only.');
    return 2;
  }
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      seed: { type: 'string' },
      minutes: { type: 'string' },
      window: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds ?? 30);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const minutes = Number(values.minutes ?? Infinity);
  if (!Number.isInteger(rounds) || !Number.isInteger(seed) || Number.isNaN(minutes)) {
    console.error(USAGE);
    return 2;
  }
  console.log(`chaos: ${rounds} rounds, seed ${seed}${values.window ? ', in a window' : ''}`);
  const limit = Date.now() + minutes * 60_000;
  const result = await chaos({
    rounds,
    seed,
    inWindow: values.window,
    say: line => console.log(line),
    isOver: () => Date.now() > limit,
  });
  console.log(`\n${result.rounds.length} rounds recovered, ${result.jobs} jobs given`);
  console.log(`recovery                     ${figures(result.rounds, round => round.recoveryMs)}`);
  console.log(`beyond the services' starts  ${figures(result.rounds, round => round.beyondMs)}`);
  for (const violation of result.violations) console.log(`VIOLATION ${violation}`);
  console.log(
    `${result.violations.length} violations; again with --rounds ${rounds} --seed ${seed}${values.window ? ' --window' : ''}`,
  );
  return result.violations.length > 0 ? 1 : 0;
});

function figures(rounds: readonly Round[], of: (round: Round) => number): string {
  const sorted = rounds.map(of).sort((a, b) => a - b);
  const at = (share: number): string => seconds(sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
  return `median ${at(0.5)}, p95 ${at(0.95)}, max ${at(1)}`;
}
