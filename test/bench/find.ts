import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inBand } from '../../src/model/port.ts';
import { freeBands } from './bands.ts';
import { type Bench, type BenchOptions, rotated, roundsOf } from './bench.ts';
import { Samples, spread, table } from './figures.ts';
import { writeFindScript } from './find-script.ts';
import { occupy } from './occupants.ts';
import { productionBuild } from './production-build.ts';
import type { Scope } from './scope.ts';

const LEVELS = [0, 50];

export const find: Bench = {
  name: 'find',
  title: 'One port from the command line, whole process',
  method: `From the start of the process to its end with its output read, in turn with the others: \`node dist/cli.cjs find FROM TO\` of
a production build, the equivalent of the guide's script in bash, and \`node -e 0\`, which is what Node itself takes. Two free
bands of 100, one of them with half its ports listened on by another process. Figures: ms, median (lowest–highest).`,
  run: measure,
};

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  const rounds = roundsOf(options, 30, 8);
  say('building for production');
  const { dist } = await productionBuild(scope);
  const script = await writeFindScript(await scope.folder('script'));
  const bands = await freeBands(LEVELS.length);
  const taken = await Promise.all(bands.map((band, index) => occupy(scope, band, LEVELS[index]!)));
  const contenders = {
    'helix-ports find': (range: string[]) => [process.execPath, join(dist, 'cli.cjs'), 'find', ...range],
    "the guide's script (equivalent)": (range: string[]) => ['bash', script, ...range],
    'node -e 0': () => [process.execPath, '-e', '0'],
  };
  const times = new Samples<number>();
  let wrong = 0;
  for (let round = 0; round < rounds; round++) {
    for (const [index, band] of bands.entries()) {
      for (const [name, command] of rotated(Object.entries(contenders), round)) {
        const began = performance.now();
        const output = await run(scope, command([String(band.from), String(band.to)]));
        times.add(performance.now() - began, name, String(LEVELS[index]));
        const isRight = inBand(band, Number(output)) && !taken[index]!.has(Number(output));
        if (name === 'helix-ports find' && !isRight) wrong++;
      }
    }
  }
  const rows = Object.keys(contenders).map(name => [
    name,
    ...LEVELS.map(level => spread(times.get(name, String(level)))),
  ]);
  const answers = `Wrong answers of helix-ports: ${wrong} of ${rounds * LEVELS.length}.`;
  return [table(['', ...LEVELS.map(level => `${level} % listened on`)], rows), answers].join('\n\n');
}

async function run(scope: Scope, [command, ...args]: string[]): Promise<string> {
  const child = scope.spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(child.stdout!), once(child, 'close')]);
  return output.trim();
}
