import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { freeBands } from './bands.ts';
import { type Bench, type BenchOptions, rotated, roundsOf } from './bench.ts';
import { median, ms, Samples, table } from './figures.ts';
import { findersWith } from './finders.ts';
import { writeFindScript } from './find-script.ts';
import { program } from './occupants.ts';
import type { Order, Pick, Report } from './programs/racer.ts';

const PROCESSES = 64;
const BANDS = 3;
/** So that all have their order before the first one begins. */
const HEAD_START_MS = 500;
const CONTENDERS = [
  'HELIX lease',
  'get-port',
  'get-port, shuffled band',
  'portfinder',
  "the guide's script (equivalent)",
];

export const races: Bench = {
  name: 'races',
  title: `Collisions: ${PROCESSES} processes at once, a port of each of ${BANDS} bands, 50 ms between choosing and binding`,
  method: `${PROCESSES} processes, kept for all rounds and warmed up by one that does not count, get one wall-clock time at which they all begin. Each takes a port of
three free bands of 100, one after the other, and binds each 50 ms after it was chosen; what it has bound it keeps until all
are done. A collision is a chosen port whose bind fails. Contenders take turns within each round. Figures: sums over all
rounds; the time for one port is the median of all, in brackets the lowest and highest median of a round, and the slowest.`,
  run: measure,
};

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  const rounds = roundsOf(options, 3, 1);
  const script = await writeFindScript(await scope.folder('script'));
  const finders = findersWith(script).filter(finder => CONTENDERS.includes(finder.name));
  say(`starting ${PROCESSES} processes`);
  const racers = await Promise.all(
    Array.from({ length: PROCESSES }, async () => {
      const racer = scope.spawn(process.execPath, [program('racer'), script], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      await nextReport(racer);
      return racer;
    }),
  );
  const race = async (finder: string): Promise<Pick[]> => {
    const bands = await freeBands(BANDS);
    const reports = await tellAll(racers, { kind: 'race', finder, bands, at: Date.now() + HEAD_START_MS });
    await tellAll(racers, { kind: 'release' });
    return reports.flatMap(report => (report.kind === 'raced' ? report.picks : []));
  };
  for (const { name, isProgram } of finders) if (!isProgram) await race(name);
  const picks = new Samples<Pick>();
  const roundMedians = new Samples<number>();
  for (let round = 0; round < rounds; round++) {
    for (const { name } of rotated(finders, round)) {
      const all = await race(name);
      for (const pick of all) picks.add(pick, name);
      roundMedians.add(median(all.map(pick => pick.tookMs)), name);
      say(`round ${round + 1} of ${rounds}: ${name}, ${count(all, 'collided')} collisions`);
    }
  }
  const rows = finders.map(({ name }) => {
    const all = picks.get(name);
    const times = all.map(pick => pick.tookMs);
    const [low, high] = [Math.min(...roundMedians.get(name)), Math.max(...roundMedians.get(name))];
    return [
      name,
      `**${count(all, 'collided')}** of ${all.length}`,
      String(count(all, 'outside')),
      String(count(all, 'error')),
      `${ms(median(times))} (${ms(low)}–${ms(high)})`,
      ms(Math.max(...times)),
    ];
  });
  const ours = picks.get(finders[0]!.name);
  const lost = ours.filter(pick => pick.outcome !== 'bound').length;
  return [
    table(['', 'collisions', 'outside the band', 'errors', 'ms a port', 'slowest'], rows),
    `**HELIX: ${lost} collisions or other failures in ${ours.length} ports (${rounds} rounds).**`,
  ].join('\n\n');
}

const count = (picks: readonly Pick[], outcome: Pick['outcome']): number =>
  picks.filter(pick => pick.outcome === outcome).length;

async function nextReport(racer: ChildProcess): Promise<Report> {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(racer, 'exit', { signal }).then(([code]) => {
    throw new Error(`A racing process ended with ${code}.`);
  });
  // Aborted as soon as the report is there.
  ended.catch(() => undefined);
  try {
    const [report] = (await Promise.race([once(racer, 'message', { signal }), ended])) as [Report];
    return report;
  } finally {
    over.abort();
  }
}

function tellAll(racers: readonly ChildProcess[], order: Order): Promise<Report[]> {
  return Promise.all(
    racers.map(async racer => {
      const answer = nextReport(racer);
      racer.send(order);
      return answer;
    }),
  );
}
