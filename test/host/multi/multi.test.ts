import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { ServiceSnapshot } from '../../../src/model/service.ts';
import type { StartOutcome } from '../../../src/session/stack.ts';
import { waitFor } from '../../support/wait.ts';
import { api, run } from '../helix.ts';

describe('a workspace of several folders', () => {
  const folders = (): readonly vscode.WorkspaceFolder[] => vscode.workspace.workspaceFolders!;
  const target = (index: number): { folder: string } => ({ folder: folders()[index]!.uri.toString() });
  const service = async (index: number, id?: string): Promise<ServiceSnapshot> =>
    (await api()).stacks()[index]!.services.find(one => id === undefined || one.id === id)!;
  const setting = (index: number): string | undefined =>
    vscode.workspace.getConfiguration('helix', folders()[index]!.uri).inspect<string>('apiUrl')?.workspaceFolderValue;

  after(async () => {
    await run('helix.stopAll');
  });

  it('has a stack for each, on different ports, each published in its own folder', async () => {
    const outcomes = await Promise.all([0, 1].map(index => run<StartOutcome>('helix.start', target(index))));
    assert.deepEqual(
      outcomes.map(outcome => outcome.kind),
      ['started', 'started'],
    );
    const [one, two] = [await service(0), await service(1)];
    assert.notEqual(one.port, two.port);
    const fronts = [await service(0, 'proxy'), await service(1, 'proxy')];
    assert.notEqual(fronts[0]!.port, fronts[1]!.port);
    for (const [index, { url }] of fronts.entries()) {
      assert.equal(setting(index), url);
      assert.equal(await (await fetch(url!)).text(), folders()[index]!.name);
      const env = await readFile(join(folders()[index]!.uri.fsPath, '.env.local'), 'utf8');
      assert.ok(env.includes(`HELIX_API_URL=${url}\n`), env);
    }
  });

  it('stops one without touching the other', async () => {
    const { pid } = await service(1);
    await run('helix.stopAll', target(0));
    assert.equal((await service(0)).state.kind, 'stopped');
    await waitFor('the first setting to be taken back', () => setting(0) === undefined);
    assert.equal((await service(1)).pid, pid);
    assert.equal(setting(1), (await service(1, 'proxy')).url);
  });

  it('has a stack for each folder of a monorepo, published in that folder and in no settings', async () => {
    const mono = folders()[2]!;
    const below = ['first', 'second'].map(name => vscode.Uri.joinPath(mono.uri, name));
    const stacks = (await api()).stacks().slice(2);
    assert.deepEqual(
      stacks.map(stack => stack.workspace),
      below.map(uri => uri.fsPath),
    );
    for (const uri of below) {
      const outcome = await run<StartOutcome>('helix.start', { folder: uri.toString() });
      assert.equal(outcome.kind, 'started');
    }
    for (const [index, uri] of below.entries()) {
      const { url } = await service(2 + index, 'proxy');
      assert.equal(await (await fetch(url!)).text(), ['first', 'second'][index]);
      const env = await readFile(join(uri.fsPath, '.env.local'), 'utf8');
      assert.ok(env.includes(`HELIX_API_URL=${url}\n`), env);
    }
    assert.equal(setting(2), undefined);
  });
});
