import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { StartOutcome } from '../../../src/session/stack.ts';
import { waitFor } from '../../support/wait.ts';
import { folder, ref, run, service, serviceThat, stack } from '../helix.ts';

const start = (): Thenable<StartOutcome> => run<StartOutcome>('helix.start');
const ids = async (): Promise<string[]> => (await stack()).services.map(({ id }) => id);

describe('the stable front in the editor', () => {
  afterEach(async () => {
    await run('helix.stopAll');
    await run('notifications.clearAll');
  });

  it('has one replica more and one less, each in a terminal of its own', async () => {
    await start();
    const first = await service('api');
    await run('helix.addReplica', ref('api'));
    const second = await serviceThat('api-2', one => one.state.kind === 'healthy');
    assert.equal(second.replicaOf, 'api');
    assert.notEqual(second.port, first.port);
    const pids = await Promise.all(vscode.window.terminals.map(terminal => terminal.processId));
    assert.ok(pids.includes(second.supervisorPid), 'the replica has no terminal');
    await run('helix.removeReplica', ref('api-2'));
    assert.deepEqual(await ids(), ['api', 'orchestrator', 'worker', 'proxy']);
    assert.equal((await service('api')).pid, first.pid);
  });

  it('restarts the API beside itself, under the same address', async () => {
    await start();
    const [before, worker, proxy] = [await service('api'), await service('worker'), await service('proxy')];
    await run('helix.rollingRestart', ref('api'));
    const after = await serviceThat('api', one => one.state.kind === 'healthy' && one.draining === undefined);
    assert.notEqual(after.pid, before.pid);
    assert.notEqual(after.port, before.port);
    assert.equal((await service('worker')).pid, worker.pid);
    const { pid } = (await (await fetch(`${proxy.url}/api/v1/health`)).json()) as { pid: number };
    assert.equal(pid, after.pid);
  });

  it('does so when a file is saved that the configuration names', async () => {
    await start();
    const before = await service('api');
    const file = join(folder().uri.fsPath, 'services', 'saved.trigger');
    try {
      // Written until it is seen: the files are watched a moment after the start.
      await waitFor('another API', async () => {
        await writeFile(file, String(Math.random()));
        await new Promise(resolve => setTimeout(resolve, 2_000));
        return (await service('api')).port !== before.port;
      });
    } finally {
      await rm(file);
    }
    await serviceThat('api', one => one.state.kind === 'healthy');
  });

  it('offers the embedded engine where nginx is missing, and that starts what could not be', async () => {
    const settings = (): vscode.WorkspaceConfiguration => vscode.workspace.getConfiguration('helix', folder().uri);
    const target = vscode.ConfigurationTarget.WorkspaceFolder;
    await settings().update('proxy.nginxPath', '/no/such/nginx', target);
    await settings().update('proxy.engine', 'nginx', target);
    try {
      const failed = await waitFor('a start without nginx', async () => {
        const outcome = await start();
        if (outcome.kind === 'failed') return outcome;
        await run('helix.stopAll');
        return undefined;
      });
      const { action, message } = failed.failures[0]!.problem;
      assert.match(message, /nginxPath/);
      assert.ok(action?.kind === 'command', JSON.stringify(action));
      await run(action.command, ref('proxy'));
      assert.equal(settings().get('proxy.engine'), 'embedded');
      const proxy = await serviceThat('proxy', one => one.state.kind === 'healthy');
      assert.ok((await fetch(`${proxy.url}/api/v1/health`)).ok);
    } finally {
      for (const name of ['proxy.engine', 'proxy.nginxPath']) await settings().update(name, undefined, target);
    }
  });

  it('writes the choice of the embedded engine into the configuration that names another, and nothing else there', async () => {
    const settings = (): vscode.WorkspaceConfiguration => vscode.workspace.getConfiguration('helix', folder().uri);
    const target = vscode.ConfigurationTarget.WorkspaceFolder;
    const uri = vscode.Uri.joinPath(folder().uri, 'helix.config.json');
    const read = async (): Promise<string> => Buffer.from(await vscode.workspace.fs.readFile(uri)).toString();
    const write = (text: string): Thenable<void> => vscode.workspace.fs.writeFile(uri, Buffer.from(text));
    const before = await read();
    const withEngine = (engine: string): string =>
      before.replace(
        '"publish":',
        `// not "engine": "nginx"\n  "proxy":   {\n\t"drainSeconds": 5, // kept\n\t"engine" :"${engine}", /* ours */\n  },\n  "publish":`,
      );
    assert.notEqual(withEngine('nginx'), before);
    await settings().update('proxy.nginxPath', '/no/such/nginx', target);
    try {
      await start();
      const { pid } = await service('proxy');
      await write(withEngine('nginx'));
      const text = async (): Promise<string> => (await vscode.workspace.openTextDocument(uri)).getText();
      await waitFor('the editor to see the file', async () => (await text()) === withEngine('nginx'));
      await run('helix.useEmbeddedEngine', ref('proxy'));
      assert.equal(await read(), withEngine('embedded'));
      assert.equal(settings().inspect('proxy.engine')?.workspaceFolderValue, undefined);
      const proxy = await serviceThat('proxy', one => one.state.kind === 'healthy');
      assert.equal(proxy.pid, pid);
      assert.ok((await fetch(`${proxy.url}/api/v1/health`)).ok);
    } finally {
      await write(before);
      await settings().update('proxy.nginxPath', undefined, target);
    }
  });
});
