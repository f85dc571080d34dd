import { existsSync } from 'node:fs';
import { appendFile, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { HelixApi } from '../../../src/editor/api.ts';
import {
  type ActivationTimes,
  EMPTY_EXTENSION,
  EMPTY_FIRST,
  type HostEnv,
  SETTLE_FIRST,
  SETTLE_MS,
} from '../host-env.ts';

const env = process.env as Partial<HostEnv>;

/** Puts a HELIX into the window's folder and activates the extension, which has had no reason to be active so far. */
export async function run(): Promise<void> {
  const extension = vscode.extensions.getExtension<HelixApi>(env.HELIX_BENCH_EXTENSION!);
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const empty = vscode.extensions.getExtension(`${EMPTY_EXTENSION.publisher}.${EMPTY_EXTENSION.name}`);
  if (!extension || !empty || !folder) throw new Error('The window lacks an extension or a folder.');
  if (extension.isActive) throw new Error('The extension is active already: its activation cannot be timed.');
  await cp(env.HELIX_BENCH_DEMO!, folder, { recursive: true });
  const settled = existsSync(join(folder, SETTLE_FIRST));
  if (settled) await sleep(SETTLE_MS);
  const emptyFirst = existsSync(join(folder, EMPTY_FIRST));
  let emptyMs = emptyFirst ? await timeToActivate(empty) : NaN;
  const began = performance.now();
  const activeMs = await timeToActivate(extension);
  await extension.exports.ready;
  const readyMs = performance.now() - began;
  if (!emptyFirst) emptyMs = await timeToActivate(empty);
  const times: ActivationTimes = { settled, emptyMs, activeMs, readyMs };
  await appendFile(env.HELIX_BENCH_RESULTS!, `${JSON.stringify(times)}\n`);
}

async function timeToActivate(extension: vscode.Extension<unknown>): Promise<number> {
  const began = performance.now();
  await extension.activate();
  return performance.now() - began;
}
