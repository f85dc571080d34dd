import type { ChildProcess } from 'node:child_process';
import { type Bench, type BenchOptions, rotated, roundsOf } from './bench.ts';
import { median, ms, Samples, table } from './figures.ts';
import { findNginx, nginxCommand } from './proxy-nginx.ts';
import { CORES, cpuMicroseconds, nodeProgram, putLoad, residentBytes, start, startServer } from './proxy-processes.ts';
import type { LoadFigures } from './programs/proxy-load.ts';
import type { Scope } from './scope.ts';

const SIZES = [200, 100_000];
const CONNECTIONS = 32;
const WARM_PROCESS = { warmMs: 1_500, limit: '200ms' };
const SLICE = { warmMs: 300, limit: '1000ms' };
const OURS = 'embedded';

export const proxy: Bench = {
  name: 'proxy',
  title: 'Requests through a proxy',
  method: `One backend on \`node:http\` that answers 200 B or 100 kB, and before it one process per proxy, all open all the time, of
which one at a time is asked, by ${CONNECTIONS} kept connections of plain sockets that ask again as soon as they are
answered. Where the system can pin processes, the proxies have a core to themselves, and backend and load share another,
which bounds what any proxy can reach. Slices of 1 s after 0.3 s of warming up, the proxies in turn and in another order
each round: a shared machine's own speed changes from second to second. All proxies keep connections to the backend and
set the X-Forwarded fields. CPU is the proxy's, user and system; memory is its resident set at the end. Figures: medians;
ratios: of the two in the same round, median (lowest–highest). Bar: 0.65 of nginx and 2 × httpxy at 200 B.`,
  run: measure,
};

type Open = (scope: Scope, backend: number) => Promise<{ child: ChildProcess | undefined; port: number }>;

const nodeProxy =
  (name: string): Open =>
  (scope, backend) =>
    startServer(scope, CORES.proxy, nodeProgram('proxy-contender', name, String(backend)));

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  const rounds = roundsOf(options, 15, 3);
  const nginx = await findNginx(scope);
  const contenders: [string, Open][] = [
    ['direct', (_scope, backend) => Promise.resolve({ child: undefined, port: backend })],
    [OURS, nodeProxy(OURS)],
    ['httpxy', nodeProxy('httpxy')],
    ['http-proxy-3', nodeProxy('http-proxy-3')],
  ];
  if ('program' in nginx) contenders.push(['nginx', openNginx(nginx.program)]);
  const backend = await startServer(scope, CORES.others, nodeProgram('proxy-backend'));
  const figures = new Samples<number>();
  for (const size of SIZES) {
    await scope.nested(async own => {
      const opened = new Map<string, Awaited<ReturnType<Open>>>();
      for (const [name, open] of contenders) {
        const one = await open(own, backend.port);
        opened.set(name, one);
        await load(own, one.port, size, WARM_PROCESS);
      }
      for (let round = 0; round < rounds; round++) {
        say(`${size} B: round ${round + 1} of ${rounds}`);
        for (const [name, { child, port }] of rotated([...opened], round)) {
          const add = (what: string, value: number): void => figures.add(value, name, String(size), what);
          const before = child?.pid ? await cpuMicroseconds(child.pid) : NaN;
          const { requests, ms: took, p50, p99, errors } = await load(own, port, size, SLICE);
          const rate = (1000 * requests) / took;
          add('rate', rate);
          add('p50', p50);
          add('p99', p99);
          add('errors', errors);
          if (!child?.pid) continue;
          add('cpu', ((await cpuMicroseconds(child.pid)) - before) / (rate * ((took + SLICE.warmMs) / 1000)));
          add('memory', (await residentBytes(child.pid)) / 2 ** 20);
        }
      }
    });
  }
  const names = contenders.map(([name]) => name);
  return [
    ...SIZES.map(size => tableOf(figures, names, String(size))),
    'program' in nginx ? '' : `Without nginx: ${nginx.missing}.`,
    verdict(figures, names),
  ].join('\n\n');
}

const load = (
  scope: Scope,
  port: number,
  size: number,
  times: { readonly warmMs: number; readonly limit: string },
): Promise<LoadFigures> => putLoad(scope, { port, path: `/${size}`, connections: CONNECTIONS, ...times });

const openNginx =
  (program: string): Open =>
  async (scope, backend) => {
    const { command, port, ready } = await nginxCommand(scope, program, backend);
    const child = start(scope, CORES.proxy, command);
    await ready();
    return { child, port };
  };

function tableOf(figures: Samples<number>, names: readonly string[], size: string): string {
  const of = (name: string, what: string): number => median(figures.get(name, size, what));
  const whole = (value: number): string => (Number.isFinite(value) ? Math.round(value).toLocaleString('en') : '–');
  return table(
    [`${Number(size).toLocaleString('en')} B`, 'req/s', 'p50 ms', 'p99 ms', 'µs CPU a request', 'MB', 'errors'],
    names.map(name => [
      name,
      whole(of(name, 'rate')),
      ms(of(name, 'p50')),
      ms(of(name, 'p99')),
      whole(of(name, 'cpu')),
      whole(of(name, 'memory')),
      whole(figures.get(name, size, 'errors').reduce((sum, one) => sum + one, 0)),
    ]),
  );
}

function verdict(figures: Samples<number>, names: readonly string[]): string {
  const rates = (name: string): readonly number[] => figures.get(name, '200', 'rate');
  return names
    .filter(name => name !== OURS)
    .map(name => {
      const ratios = rates(OURS).map((rate, round) => rate / rates(name)[round]!);
      const [lowest, highest] = [Math.min(...ratios), Math.max(...ratios)];
      return `${OURS} / ${name} at 200 B: ${median(ratios).toFixed(2)} (${lowest.toFixed(2)}–${highest.toFixed(2)})`;
    })
    .join('\n\n');
}
