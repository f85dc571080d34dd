import { existsSync } from 'node:fs';
import { appendFile, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { HelixApi } from '../../../src/editor/api.ts';
import { type ActivationTimes, type HostEnv, SETTLE_FIRST, SETTLE_MS } from '../host-env.ts';

const env = process.env as Partial<HostEnv>;

/** Puts a HELIX into the window's folder and activates the extension, which has had no reason to be active so far. */
export async function run(): Promise<void> {
  const extension = vscode.extensions.getExtension<HelixApi>(env.HELIX_BENCH_EXTENSION!);
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  if (!extension || !folder) throw new Error('The window lacks the extension or a folder.');
  if (extension.isActive) throw new Error('The extension is active already: its activation cannot be timed.');
  await cp(env.HELIX_BENCH_DEMO!, folder, { recursive: true });
  const settled = existsSync(join(folder, SETTLE_FIRST));
  if (settled) await sleep(SETTLE_MS);
  const began = performance.now();
  const api = await extension.activate();
  const activeMs = performance.now() - began;
  await api.ready;
  const times: ActivationTimes = { settled, activeMs, readyMs: performance.now() - began };
  await appendFile(env.HELIX_BENCH_RESULTS!, `${JSON.stringify(times)}\n`);
}
