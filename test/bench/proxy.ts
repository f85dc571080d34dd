import type { ChildProcess } from 'node:child_process';
import { type Bench, type BenchOptions, rotated, roundsOf } from './bench.ts';
import { median, ms, Samples, table } from './figures.ts';
import { findNginx, nginxCommand } from './proxy-nginx.ts';
import { CORES, cpuMicroseconds, nodeProgram, putLoad, residentBytes, start, startServer } from './proxy-processes.ts';
import type { Scope } from './scope.ts';

const SIZES = [200, 100_000];
const CONNECTIONS = 32;
const OURS = 'embedded';

export const proxy: Bench = {
  name: 'proxy',
  title: 'Requests through a proxy',
  method: `One backend on \`node:http\` that answers 200 B or 100 kB, one proxy in a process of its own before it, ${CONNECTIONS} kept
connections of plain sockets that ask again as soon as they are answered. Where the system can pin processes the proxy has
a core to itself, and backend and load share another. Rounds of 3 s after 1.5 s of warming up, in another order each
round; a new proxy process each time. All proxies keep connections to the backend and set the X-Forwarded fields. CPU is
the proxy's, user and system, warming up included; memory is its resident set at the end. Figures: medians. Bar: 0.65
of nginx and 2 × httpxy at 200 B.`,
  run: measure,
};

type Open = (scope: Scope, backend: number) => Promise<{ child: ChildProcess | undefined; port: number }>;

const nodeProxy =
  (name: string): Open =>
  (scope, backend) =>
    startServer(scope, CORES.proxy, nodeProgram('proxy-contender', name, String(backend)));

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  const rounds = roundsOf(options, 5, 1);
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
  for (let round = 0; round < rounds; round++) {
    for (const size of SIZES) {
      for (const [name, open] of rotated(contenders, round)) {
        say(`round ${round + 1} of ${rounds}: ${name}, ${size} B`);
        await scope.nested(async own => {
          const { child, port } = await open(own, backend.port);
          const warmMs = 1_500;
          const load = await putLoad(own, {
            port,
            path: `/${size}`,
            connections: CONNECTIONS,
            warmMs,
            limit: '3000ms',
          });
          const add = (value: number, what: string): void => figures.add(value, name, String(size), what);
          const rate = (1000 * load.requests) / load.ms;
          add(rate, 'rate');
          add(load.p50, 'p50');
          add(load.p99, 'p99');
          add(load.errors, 'errors');
          if (!child?.pid) return;
          add((await cpuMicroseconds(child.pid)) / (rate * ((load.ms + warmMs) / 1000)), 'cpu');
          add((await residentBytes(child.pid)) / 2 ** 20, 'memory');
        });
      }
    }
  }
  const names = contenders.map(([name]) => name);
  return [
    ...SIZES.map(size => tableOf(figures, names, String(size))),
    'program' in nginx ? '' : `Without nginx: ${nginx.missing}.`,
    verdict(figures, names),
  ].join('\n\n');
}

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
  const rate = (name: string): number => median(figures.get(name, '200', 'rate'));
  return names
    .filter(name => name !== OURS)
    .map(name => `${OURS} / ${name} at 200 B: ${(rate(OURS) / rate(name)).toFixed(2)}`)
    .join(' · ');
}
