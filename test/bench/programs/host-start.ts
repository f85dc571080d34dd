import { appendFile, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { HelixApi } from '../../../src/editor/api.ts';
import { COMMANDS } from '../../../src/editor/ids.ts';
import type { ServiceSnapshot } from '../../../src/model/service.ts';
import { type HandDemo, type ReadyTimes, startByHand } from '../by-hand.ts';
import { type HostEnv, ordersFile } from '../host-env.ts';
import { note, type StartTrace } from '../start-trace.ts';
import { terminalShell } from './terminal-shell.ts';

const LOOK_MS = 5;

const env = process.env as Partial<HostEnv>;

/** Runs the start command of the extension whenever it is told to, and tells how long it took until all was healthy. */
export async function run(): Promise<void> {
  const results = env.HELIX_BENCH_RESULTS!;
  const extension = vscode.extensions.getExtension<HelixApi>(env.HELIX_BENCH_EXTENSION!);
  if (!extension) throw new Error('The window lacks the extension.');
  const api = await extension.activate();
  await api.ready;
  for (let done = 0; ; done++) {
    const order = await nextOrder(ordersFile(results), done);
    if (order === 'end') return;
    await appendFile(results, `${JSON.stringify(order === 'hand' ? await timesByHand() : await timedStart(api))}\n`);
  }
}

async function timedStart(api: HelixApi): Promise<StartTrace> {
  const services = (): ServiceSnapshot[] => api.stacks().flatMap(stack => stack.services);
  const trace: StartTrace = { tookMs: 0, services: {} };
  const began = performance.now();
  const look = setInterval(() => note(trace, services(), performance.now() - began), LOOK_MS);
  await vscode.commands.executeCommand(COMMANDS.start);
  clearInterval(look);
  note(trace, services(), performance.now() - began);
  // The command returns a moment later, when everything is published.
  trace.tookMs = Math.max(...Object.values(trace.services).map(steps => steps.healthy ?? NaN));
  const states = services().map(service => service.state.kind);
  if (states.length === 0 || states.some(state => state !== 'healthy')) {
    throw new Error(`After the start the services are ${states.join(', ')}.`);
  }
  await vscode.commands.executeCommand(COMMANDS.stopAll);
  return trace;
}

async function timesByHand(): Promise<ReadyTimes> {
  const demo = JSON.parse(await readFile(env.HELIX_BENCH_HAND!, 'utf8')) as HandDemo;
  return startByHand(await terminalShell(), demo);
}

async function nextOrder(file: string, done: number): Promise<string> {
  for (;;) {
    const orders = (await readFile(file, 'utf8')).split('\n').filter(Boolean);
    if (orders[done]) return orders[done];
    await sleep(20);
  }
}
