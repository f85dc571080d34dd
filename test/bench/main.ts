import { parseArgs } from 'node:util';
import type { Bench } from './bench.ts';
import { activation } from './activation.ts';
import { dashboard } from './dashboard.ts';
import { discovery } from './discovery.ts';
import { find } from './find.ts';
import { lease } from './lease.ts';
import { describeLoad, describeMachine } from './machine.ts';
import { proxy } from './proxy.ts';
import { proxyMemory } from './proxy-memory.ts';
import { races } from './races.ts';
import { reconnect } from './reconnect.ts';
import { recovery } from './recovery.ts';
import { rolling } from './rolling.ts';
import { Scope } from './scope.ts';
import { start } from './start.ts';

/*
 * `npm run bench [-- NAME…] [--quick] [--rounds N]`: measures this build beside the alternatives and prints markdown on
 * stdout, progress on stderr. Nothing here passes or fails by a time.
 */

const benches: readonly Bench[] = [
  lease,
  find,
  activation,
  start,
  reconnect,
  recovery,
  races,
  discovery,
  dashboard,
  proxy,
  proxyMemory,
  rolling,
];

async function main(scope: Scope): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' } },
    allowPositionals: true,
  });
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
    return refuse('--rounds takes a number from 1 on');
  const unknown = positionals.filter(name => !benches.some(bench => bench.name === name));
  if (unknown.length > 0) return refuse(`there is no bench ${unknown.join(', ')}`);
  const chosen = benches.filter(bench => positionals.length === 0 || positionals.includes(bench.name));
  console.log(`# Benchmarks\n\n${describeMachine()}`);
  for (const bench of chosen) {
    const say = (line: string): void => void process.stderr.write(`${bench.name}: ${line}\n`);
    const before = describeLoad();
    const result = await scope.nested(own => bench.run({ quick: values.quick, rounds, scope: own, say }));
    console.log(
      `\n## ${bench.title}\n\n${bench.method}\n\n${result}\n\nLoad before ${before}, after ${describeLoad()}.`,
    );
  }
  return 0;
}

function refuse(reason: string): number {
  console.error(
    `${reason}\nusage: npm run bench -- [${benches.map(one => one.name).join('|')}]… [--quick] [--rounds N]`,
  );
  return 2;
}

/** A second signal changes nothing: Ctrl-C reaches us from the terminal and from our parent. */
function interruption(): Promise<number> {
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
  return new Promise(resolve => {
    for (const [name, code] of Object.entries(codes)) process.on(name, () => resolve(code));
  });
}

const scope = new Scope();
const fault = (error: unknown): number => {
  console.error(error);
  return 1;
};

void Promise.race([main(scope).catch(fault), interruption()]).then(async code => {
  await scope.close();
  process.exit(code);
});
