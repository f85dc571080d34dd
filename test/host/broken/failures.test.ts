import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceFailure, StartOutcome } from '../../../src/session/stack.ts';
import { waitFor } from '../../support/wait.ts';
import { folder, run, service } from '../helix.ts';

describe('a stack with services that cannot start', () => {
  let failures: ReadonlyMap<string, ServiceFailure>;

  before(async () => {
    const outcome = await run<StartOutcome>('helix.start');
    assert.equal(outcome.kind, 'failed');
    failures = new Map(outcome.kind === 'failed' ? outcome.failures.map(one => [one.service.id, one]) : []);
  });

  after(async () => {
    await run('helix.stopAll');
  });

  const message = (id: string): string => {
    const failure = failures.get(id);
    assert.ok(failure, `${id} did not fail`);
    return failure.problem.message;
  };

  it('says which command does not exist, and what to do', () => {
    assert.match(message('missing'), /Command not found: no-such-program-anywhere .*Install it, or correct/);
  });

  it('shows the last words of a service that exits at once', () => {
    assert.match(message('exits'), /exited with code 7/);
    assert.deepEqual(failures.get('exits')!.problem.lastLines.at(-1), 'Error: the flux capacitor is missing');
  });

  it('says that a service never listened, and on which port', async () => {
    assert.match(message('silent'), new RegExp(`never listened on ${(await service('silent')).port}`));
  });

  it('says where a service listens instead', () => {
    assert.match(message('elsewhere'), /was assigned 213\d\d but listens on \d+/);
  });

  it('does not start what depends on a failed service, and says so', async () => {
    assert.ok(failures.get('missing')!.skipped.some(id => (id as string) === 'dependent'));
    assert.equal((await service('dependent')).state.kind, 'stopped');
  });

  it('leaves the rest of the stack running', async () => {
    assert.equal((await service('fine')).state.kind, 'healthy');
  });

  it('starts nothing from a configuration that became invalid, and goes on once it is mended', async () => {
    const file = join(folder().uri.fsPath, 'helix.config.json');
    const text = await readFile(file, 'utf8');
    const { pid } = await service('fine');
    const startIsRefused = async (): Promise<boolean> => (await run('helix.start')) === undefined;
    await writeFile(file, '{ "services": { "fine": { "comand": [] } } }');
    await waitFor('the invalid configuration to be refused', startIsRefused);
    assert.equal((await service('fine')).pid, pid);
    await writeFile(file, text);
    await waitFor('the mended configuration to be taken', async () => !(await startIsRefused()));
  });
});
