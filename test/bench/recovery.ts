import type { ServiceSnapshot, StackSnapshot } from '../../src/model/service.ts';
import type { Stack } from '../../src/session/stack.ts';
import { type Bench, type BenchOptions, rotated, roundsOf } from './bench.ts';
import { type ReadyTimes, startEachAlone } from './by-hand.ts';
import { spawningShell } from './spawning-shell.ts';
import { handDemoOf, makeDemo, openDemoStack, ownStateHome } from './demo-stack.ts';
import { median, ms, quantile, Samples, spread, table } from './figures.ts';
import { productionBuild } from './production-build.ts';

type Name = keyof ReadyTimes;

interface Victim {
  readonly id: Name;
  readonly kind: 'service' | 'supervisor';
}

const VICTIMS: readonly Victim[] = (['service', 'supervisor'] as const).flatMap(kind =>
  (['postgres', 'api', 'orchestrator', 'worker'] as const).map(id => ({ id, kind })),
);
const LIMIT_MS = 60_000;

export const recovery: Bench = {
  name: 'recovery',
  title: 'Recovery after kill -9',
  method: `The demo HELIX runs under a stack that keeps it, as an editor or the command line's keeper does. Each round kills one process
after the other with SIGKILL, services and supervisors, in an order that changes from round to round, each time with all
four healthy before; the time ends when the stack tells that the same service is healthy with another pid. After a killed
service a restart on request makes the restart policy forget the crash, so that each is a first one; its backoff
of 125 to 250 ms is part of the time. A service's own start time, which is taken off, is the median of starting it
alone by hand until it is ready (PostgreSQL: after an orderly end). Figures: ms.`,
  run: measure,
};

async function measure(options: BenchOptions): Promise<string> {
  const { scope, say } = options;
  const rounds = roundsOf(options, 10, 2);
  say('building for production');
  const build = await productionBuild(scope);
  const home = await ownStateHome(scope);
  const demo = await makeDemo(scope, build);
  say('making the cluster');
  await scope.nested(async own => (await openDemoStack(own, demo, false)).start());
  const hand = await handDemoOf(home, demo);
  const own = new Samples<number>();
  for (let round = 0; round < Math.max(3, Math.ceil(rounds / 2)); round++) {
    const times = await scope.nested(nested => startEachAlone(spawningShell(nested), hand));
    for (const [id, tookMs] of Object.entries(times)) own.add(tookMs, id);
  }
  const stack = await openDemoStack(scope, demo, true);
  await stack.start();
  const times = new Samples<number>();
  const strangers: Victim[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const victim of rotated(VICTIMS, round)) {
      const before = service(stack.snapshot, victim.id);
      const tookMs = await killAndWait(stack, victim);
      times.add(tookMs, victim.kind, victim.id);
      say(`round ${round + 1} of ${rounds}: ${victim.kind} of ${victim.id} ${ms(tookMs)} ms`);
      if (victim.kind === 'service') await stack.restart(service(stack.snapshot, victim.id).id);
      if (service(stack.snapshot, victim.id).external) {
        strangers.push(victim);
        await replaceStranger(stack, victim, before);
      }
      await until(stack, snapshot => snapshot.services.every(one => one.state.kind === 'healthy'));
    }
  }
  const beyond = ({ kind, id }: Victim): number[] => times.get(kind, id).map(tookMs => tookMs - median(own.get(id)));
  const row = (label: string, victims: readonly Victim[]): string[] => {
    const values = victims.flatMap(beyond);
    return [
      label,
      spread(victims.flatMap(({ kind, id }) => times.get(kind, id))),
      victims.length > 1 ? '' : ms(median(own.get(victims[0]!.id))),
      ms(median(values)),
      ms(quantile(values, 0.95)),
      ms(Math.max(...values)),
      String(values.length),
    ];
  };
  const head = ['killed', 'until healthy', 'own start', 'beyond it: median', 'p95', 'max', 'kills'];
  const figures = table(head, [
    row(
      'all services',
      VICTIMS.filter(one => one.kind === 'service'),
    ),
    row(
      'all supervisors',
      VICTIMS.filter(one => one.kind === 'supervisor'),
    ),
    ...VICTIMS.map(victim => row(`${victim.kind === 'service' ? '' : 'supervisor of '}${victim.id}`, [victim])),
  ]);
  return strangers.length === 0 ? figures : `${figures}\n\n${strangersText(strangers, rounds)}`;
}

function strangersText(strangers: readonly Victim[], rounds: number): string {
  const ids = [...new Set(strangers.map(one => one.id))];
  return (
    `**Not recovered but lost: after ${strangers.length} of ${ids.length * rounds} kills of its supervisor ${ids.join(', ')} ran on, was ` +
    "taken for a stranger's from then on, and would have outlived the stop.**"
  );
}

const service = (snapshot: StackSnapshot, id: string): ServiceSnapshot =>
  snapshot.services.find(one => one.id === (id as ServiceSnapshot['id']))!;

/** What was taken for somebody else's server is ended, so that the next round finds the stack as the first one did. */
async function replaceStranger(stack: Stack, { id }: Victim, { pid }: ServiceSnapshot): Promise<void> {
  if (pid !== undefined) process.kill(pid, 'SIGTERM');
  await until(stack, snapshot => {
    const { external, state } = service(snapshot, id);
    return !external && state.kind === 'healthy';
  });
}

async function killAndWait(stack: Stack, { id, kind }: Victim): Promise<number> {
  const before = service(stack.snapshot, id);
  const pid = kind === 'service' ? before.pid : before.supervisorPid;
  if (pid === undefined) throw new Error(`${id} has no ${kind} to kill.`);
  const began = performance.now();
  process.kill(pid, 'SIGKILL');
  await until(stack, snapshot => {
    const { state, pid: present } = service(snapshot, id);
    return state.kind === 'healthy' && present !== before.pid;
  });
  return performance.now() - began;
}

function until(stack: Stack, condition: (snapshot: StackSnapshot) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    if (condition(stack.snapshot)) return resolve();
    const timer = setTimeout(() => {
      subscription.dispose();
      const states = stack.snapshot.services.map(one => `${one.id} ${JSON.stringify(one.state)}`);
      reject(new Error(`Not recovered within ${LIMIT_MS / 1000} s: ${states.join(', ')}`));
    }, LIMIT_MS);
    const subscription = stack.onChange(snapshot => {
      if (!condition(snapshot)) return;
      clearTimeout(timer);
      subscription.dispose();
      resolve();
    });
  });
}
