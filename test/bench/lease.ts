import { type Band, inBand } from '../../src/model/port.ts';
import { freeBands } from './bands.ts';
import { type Bench, type BenchOptions, rotated, roundsOf } from './bench.ts';
import { median, ms, percent, Samples, table } from './figures.ts';
import { type Finder, findersWith } from './finders.ts';
import { writeFindScript } from './find-script.ts';
import { occupy } from './occupants.ts';
import type { Scope } from './scope.ts';

const LEVELS = [0, 50, 90, 99, 100];
/** In one round a contender gets so many calls a level, or so much time, whichever ends first. */
const CALLS = 20;
const CALLS_MS = 250;

type Fault = 'outside the band' | 'occupied' | 'error';

interface Case {
  readonly band: Band;
  readonly taken: ReadonlySet<number>;
  readonly level: string;
}

interface Call {
  readonly tookMs: number;
  /** Until it was given back. */
  readonly wholeMs: number;
  readonly fault: Fault | undefined;
}

export const lease: Bench = {
  name: 'lease',
  title: 'One port out of a band of 100, by share of the band that other processes listen on',
  method: `In each round five bands that were free a moment before, one for each share, away from 8000-8399, and in each of
them ports drawn at random on which another process listens, in turn on 127.0.0.1, ::1, 0.0.0.0 and ::. Contenders are called in one warm
process, the script as a process of its own, ${CALLS} calls or ${CALLS_MS} ms a round; rounds are interleaved and begin with another
contender each time. Figures: median of all calls in ms, in brackets the lowest and highest median of a round. Wrong is a
port outside the band, an occupied one, or an error where a port was free; at 100 % an error is right and any port is wrong.`,
  run: measure,
};

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  const rounds = roundsOf(options, 15, 3);
  const finders = findersWith(await writeFindScript(await scope.folder('script')));
  const calls = new Samples<Call>();
  const roundMedians = new Samples<Call>();
  // One round more, the first, warms everything up.
  for (let round = 0; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`);
    await scope.nested(async own => {
      for (const one of await makeCases(own)) {
        for (const finder of rotated(finders, round)) {
          const made = await callOften(finder, one);
          if (round === 0) continue;
          for (const call of made) calls.add(call, finder.name, one.level);
          const [tookMs, wholeMs] = [median(made.map(call => call.tookMs)), median(made.map(call => call.wholeMs))];
          roundMedians.add({ tookMs, wholeMs, fault: undefined }, finder.name, one.level);
        }
      }
    });
  }
  const row = (label: string, { name }: Finder, time: (call: Call) => number): string[] => [
    label,
    ...LEVELS.map(String).map(level => cell(calls.get(name, level), roundMedians.get(name, level), time)),
  ];
  const [ours, ...others] = finders;
  return table(
    ['', ...LEVELS.map(level => `${level} %`)],
    [
      row(ours!.name, ours!, call => call.tookMs),
      row('HELIX lease and release', ours!, call => call.wholeMs),
      ...others.map(finder => row(finder.name, finder, call => call.tookMs)),
    ],
  );
}

async function makeCases(scope: Scope): Promise<Case[]> {
  const cases: Case[] = [];
  for (const [index, band] of (await freeBands(LEVELS.length)).entries()) {
    const level = LEVELS[index]!;
    cases.push({ band, taken: await occupy(scope, band, level), level: String(level) });
  }
  return cases;
}

async function callOften(finder: Finder, one: Case): Promise<Call[]> {
  const calls: Call[] = [];
  const count = finder.isProgram ? 1 : CALLS;
  const began = performance.now();
  while (calls.length < count && performance.now() - began < CALLS_MS) calls.push(await callOnce(finder, one));
  return calls;
}

async function callOnce(finder: Finder, { band, taken }: Case): Promise<Call> {
  finder.reset?.();
  const began = performance.now();
  try {
    const { port, release } = await finder.find(band);
    const tookMs = performance.now() - began;
    await release?.();
    const fault = !inBand(band, port) ? 'outside the band' : taken.has(port) ? 'occupied' : undefined;
    return { tookMs, wholeMs: performance.now() - began, fault };
  } catch {
    const tookMs = performance.now() - began;
    const isRight = taken.size === band.to - band.from + 1;
    return { tookMs, wholeMs: tookMs, fault: isRight ? undefined : 'error' };
  }
}

function cell(calls: readonly Call[], rounds: readonly Call[], time: (call: Call) => number): string {
  const lowest = Math.min(...rounds.map(time));
  const highest = Math.max(...rounds.map(time));
  const faults = (['outside the band', 'occupied', 'error'] as const).flatMap(fault => {
    const count = calls.filter(call => call.fault === fault).length;
    return count > 0 ? [`**${percent(count, calls.length)} ${fault}**`] : [];
  });
  return [`${ms(median(calls.map(time)))} (${ms(lowest)}–${ms(highest)})`, ...faults].join(', ');
}
