import { existsSync } from 'node:fs';
import { appendFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { HelixApi } from '../../../src/editor/api.ts';
import { CONFIG_FILE } from '../../../src/session/config-file.ts';
import { type FoundTimes, HIDDEN_CONFIG, type HostEnv, SETTLE_FIRST, SETTLE_MS } from '../host-env.ts';

const LOOK_MS = 2;
const LIMIT_MS = 60_000;

const env = process.env as Partial<HostEnv>;

/** Activates the extension on a folder whose services run, tells when it knew of them, and stays until the window is closed. */
export async function run(): Promise<void> {
  const extension = vscode.extensions.getExtension<HelixApi>(env.HELIX_BENCH_EXTENSION!);
  if (!extension) throw new Error('The window lacks the extension.');
  if (extension.isActive) throw new Error('The extension is active already: what it finds cannot be timed.');
  const folder = vscode.workspace.workspaceFolders![0]!.uri.fsPath;
  const settled = existsSync(join(folder, SETTLE_FIRST));
  if (settled) await sleep(SETTLE_MS);
  await rename(join(folder, HIDDEN_CONFIG), join(folder, CONFIG_FILE));
  const beganAt = Date.now();
  const api = await extension.activate();
  const services = (): ReturnType<HelixApi['stacks']>[number]['services'] => api.stacks()[0]?.services ?? [];
  await until(() => services().length > 0 && services().every(service => service.state.kind === 'healthy'));
  const foundMs = Date.now() - beganAt;
  const proxy = services().find(service => service.id === ('proxy' as typeof service.id));
  await until(() => vscode.workspace.getConfiguration('helix').get('apiUrl') === proxy?.url);
  const publishedMs = Date.now() - beganAt;
  const times: FoundTimes = {
    settled,
    beganAt,
    foundMs,
    publishedMs,
    services: services().map(({ id, pid = null, port = null }) => ({ id, pid, port })),
  };
  await appendFile(env.HELIX_BENCH_RESULTS!, `${JSON.stringify(times)}\n`);
  // The window is still looked at.
  await sleep(LIMIT_MS);
}

async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!condition()) {
    if (performance.now() > limit) throw new Error('The services were not found.');
    await sleep(LOOK_MS);
  }
}
