import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { identify } from '../../../src/run/processes.ts';
import type { StartOutcome } from '../../../src/session/stack.ts';
import { waitFor } from '../../support/wait.ts';
import { apiUrlSetting, file, ref, run, service, serviceThat, stack } from '../helix.ts';

const start = (): Thenable<StartOutcome> => run<StartOutcome>('helix.start');

describe('HELIX: Start with dynamic ports', () => {
  afterEach(async () => {
    await run('helix.stopAll');
  });

  it('brings every service up in a terminal of its own, on a port of its band', async () => {
    const outcome = await start();
    assert.equal(outcome.kind, 'started');
    const { services } = await stack();
    assert.deepEqual(
      services.map(one => [one.id, one.state.kind]),
      [
        ['api', 'healthy'],
        ['orchestrator', 'healthy'],
        ['worker', 'healthy'],
        ['proxy', 'healthy'],
      ],
    );
    const bands = { api: 21_000, orchestrator: 21_100, worker: 21_200 };
    for (const { id, port } of services.filter(one => one.id !== 'proxy')) {
      const from = bands[id as unknown as keyof typeof bands];
      assert.ok(port! >= from && port! < from + 100, `${id} on ${port}`);
    }
    const pids = await Promise.all(vscode.window.terminals.map(terminal => terminal.processId));
    for (const { id, supervisorPid } of services) assert.ok(pids.includes(supervisorPid), `${id} has no terminal`);
  });

  it('publishes the very port that answers, and takes it back on stop, leaving the rest of the files alone', async () => {
    await start();
    const [{ url: direct, port }, { url }] = [await service('api'), await service('proxy')];
    const answer = (await (await fetch(`${apiUrlSetting()}/api/v1/health`)).json()) as { pid: number };
    assert.equal(answer.pid, (await service('api')).pid);
    assert.equal(apiUrlSetting(), url);
    const text = await file('.env.local');
    assert.ok(text.startsWith('# mine\nSECRET="keep me"\n'), text);
    for (const line of [
      `HELIX_API_URL=${url}`,
      `HELIX_API_DIRECT_URL=${direct}`,
      `API_PORT=${port}`,
      `VITE_HELIX_API_URL=${url}`,
    ]) {
      assert.ok(text.includes(`${line}\n`), `${line} is missing in ${text}`);
    }
    await run('helix.stopAll');
    assert.equal(apiUrlSetting(), undefined);
    assert.match(await file('.vscode/settings.json'), /"editor.tabSize": 3/);
    const after = await file('.env.local');
    assert.ok(after.startsWith('# mine\nSECRET="keep me"\n') && !after.includes('API_PORT'), after);
  });

  it('twice is once: the same processes', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    assert.deepEqual([first.kind, second.kind].sort(), ['alreadyRunning', 'started']);
    const before = (await stack()).services.map(one => one.pid);
    assert.equal((await start()).kind, 'alreadyRunning');
    assert.deepEqual(
      (await stack()).services.map(one => one.pid),
      before,
    );
  });

  it('restarts one service on its port and leaves the others alone', async () => {
    await start();
    const [before, other] = [await service('api'), await service('worker')];
    await run('helix.restartService', ref('api'));
    const after = await service('api');
    assert.equal(after.state.kind, 'healthy');
    assert.notEqual(after.pid, before.pid);
    assert.equal(after.port, before.port);
    assert.equal(after.restarts, 1);
    assert.equal((await service('worker')).pid, other.pid);
  });

  it('brings back a service that crashed', async () => {
    await start();
    const before = await service('api');
    await fetch(`${before.url}/die`).catch(() => undefined);
    const after = await serviceThat('api', one => one.state.kind === 'healthy' && one.pid !== before.pid);
    assert.equal(after.port, before.port);
    assert.equal(after.lastExit?.code, 3);
    assert.equal(after.restarts, 1);
  });

  it('brings back a supervisor that was killed, on the same port', async () => {
    await start();
    const before = await service('api');
    process.kill(before.supervisorPid!, 'SIGKILL');
    const after = await serviceThat('api', one => one.state.kind === 'healthy' && one.pid !== before.pid);
    assert.equal(after.port, before.port);
    assert.equal(await identify(before.pid!), undefined, 'the old service still runs');
  });

  it('closing a terminal stops its service, and it stays stopped', async () => {
    await start();
    const { supervisorPid, url } = await service('api');
    for (const terminal of vscode.window.terminals)
      if ((await terminal.processId) === supervisorPid) terminal.dispose();
    await serviceThat('api', one => one.state.kind === 'stopped');
    await assert.rejects(fetch(url!));
    await waitFor('the publication to be taken back', () => Promise.resolve(apiUrlSetting() === undefined));
    assert.equal((await service('worker')).state.kind, 'healthy');
    assert.equal((await service('api')).state.kind, 'stopped');
  });

  it('gives new terminals of the folder the addresses', async () => {
    await start();
    const { port } = await service('api');
    const terminal = vscode.window.createTerminal({ name: 'user', cwd: vscode.workspace.workspaceFolders![0]!.uri });
    try {
      terminal.sendText('echo "port=$API_PORT" > seen.txt; exit');
      await waitFor('the terminal to say what it sees', async () =>
        (await file('seen.txt').catch(() => '')).includes('port='),
      );
      assert.equal((await file('seen.txt')).trim(), `port=${port}`);
    } finally {
      terminal.dispose();
    }
  });
});
