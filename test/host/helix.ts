import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { HelixApi } from '../../src/editor/api.ts';
import type { ServiceSnapshot, StackSnapshot } from '../../src/model/service.ts';
import { waitFor } from '../support/wait.ts';

const EXTENSION = 'helix.helix-dynamic-ports';

export const folder = (): vscode.WorkspaceFolder => vscode.workspace.workspaceFolders![0]!;

export async function api(): Promise<HelixApi> {
  const extension = vscode.extensions.getExtension<HelixApi>(EXTENSION);
  assert.ok(extension, `${EXTENSION} is not installed`);
  const exports = await extension.activate();
  await exports.ready;
  return exports;
}

export async function stack(): Promise<StackSnapshot> {
  const [first] = (await api()).stacks();
  assert.ok(first, 'the folder has no stack');
  return first;
}

export async function service(id: string): Promise<ServiceSnapshot> {
  const found = (await stack()).services.find(one => one.id === id);
  assert.ok(found, `no service ${id}`);
  return found;
}

/** The service as soon as it fulfils the condition. */
export async function serviceThat(
  id: string,
  condition: (service: ServiceSnapshot) => boolean,
): Promise<ServiceSnapshot> {
  await waitFor(`${id} to change`, async () => condition(await service(id)), { seen: () => service(id) });
  return service(id);
}

export const file = (name: string): Promise<string> => readFile(join(folder().uri.fsPath, name), 'utf8');

export const apiUrlSetting = (): string | undefined =>
  vscode.workspace.getConfiguration('helix', folder().uri).inspect<string>('apiUrl')?.workspaceFolderValue ??
  vscode.workspace.getConfiguration('helix', folder().uri).inspect<string>('apiUrl')?.workspaceValue;

export const run = <T>(command: string, ...args: unknown[]): Thenable<T> =>
  vscode.commands.executeCommand<T>(command, ...args);

export const ref = (id: string): { folder: string; service: string } => ({
  folder: folder().uri.toString(),
  service: id,
});
