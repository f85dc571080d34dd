import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import type { Plan } from '../../../src/model/plan.ts';
import type { RunSpec } from '../../../src/model/service.ts';
import { containerName } from '../../../src/postgres/container.ts';
import { tryCredentials } from '../../../src/postgres/probe.ts';
import { checkPostgres } from '../../../src/session/doctor-runtime.ts';
import { loadPlan } from '../../../src/session/load-plan.ts';
import { postgresConfigOf, postgresService } from '../../../src/session/postgres-service.ts';
import { waitFor } from '../../support/wait.ts';
import { StandInDocker } from '../postgres/docker.ts';
import { Cleanup, engineOrSkip, skip } from '../postgres/harness.ts';

describe('a stack whose PostgreSQL is a container', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  const { PATH } = process.env;
  let docker: StandInDocker;
  let plan: Plan;
  let said: string;

  before(async function () {
    if (process.platform !== 'linux') skip(this, 'the stand-in for docker looks into /proc');
    await engineOrSkip(this, 'auto');
  });
  beforeEach(async () => {
    docker = await StandInDocker.make(cleanup);
    process.env['PATH'] = [dirname(docker.engine.program), PATH].join(delimiter);
    const workspace = await cleanup.folder();
    const { port } = await cleanup.config();
    const file = { services: { postgres: { type: 'postgres', port } }, postgres: { engine: 'docker', image: 'pg:1' } };
    await writeFile(join(workspace, 'helix.config.json'), JSON.stringify(file));
    plan = (await loadPlan(workspace, undefined, { POSTGRES_PASSWORD: 'secret' }))!;
    said = '';
  });
  afterEach(async () => {
    process.env['PATH'] = PATH;
    await cleanup.run();
  });

  const prepare = (): Promise<RunSpec> =>
    postgresService({
      program: '/dist/postgres.cjs',
      embeddedRoots: [plan.workspace],
      mayFetch: () => Promise.resolve(false),
      onFetchOutput: text => void (said += text),
    }).prepare(plan.services[0]!, plan, new AbortController().signal);
  const diagnosis = async (): Promise<string> =>
    JSON.stringify(await checkPostgres({ plan, embeddedRoots: [plan.workspace] } as never));

  it('has the image fetched before its supervisor starts, which is told the engine that was found', async () => {
    const spec = await prepare();
    assert.match(said, /Fetching pg:1 with docker.*\nPull complete/s);
    assert.deepEqual((await docker.calls('pull'))[0], ['pull', 'pg:1']);
    const { docker: told } = JSON.parse(spec.env['HELIX_POSTGRES']!) as { docker: unknown };
    assert.deepEqual(told, { image: 'pg:1', program: docker.engine.program });
    assert.deepEqual(spec.readiness, { kind: 'postgres', pattern: 'PostgreSQL is ready', listener: 'container' });
    await prepare();
    assert.equal((await docker.calls('pull')).length, 1, 'it is here by now');
    assert.match(await diagnosis(), /docker can start the container helix-postgres-\d+/);
  });

  for (const [what, faults, expected] of [
    ['no daemon', { ps: 'Cannot connect to the Docker daemon.' }, /docker does not answer: Cannot connect.*Start it/],
    [
      'an image that cannot be had',
      { pull: 'Using default tag\nError response from daemon: pull access denied for pg' },
      /The image pg:1 could not be fetched: pull access denied for pg\. .*helix\.postgres\.image.*docker image ls/,
    ],
  ] as const) {
    it(`says what to do with ${what}, and starts nothing`, async () => {
      await docker.refuses(faults);
      await assert.rejects(prepare(), (error: Error) => {
        assert.equal(error.name, 'UserError');
        assert.match(error.message, expected);
        return true;
      });
      assert.equal((await docker.calls('create')).length, 0);
      if ('ps' in faults) assert.match(await diagnosis(), /"error".*docker does not answer/);
    });
  }

  it('does not ask for an engine where a server answers already', async () => {
    const { port } = plan.services[0]!.port as { port: number };
    await docker.refuses({ ps: 'Cannot connect' });
    await cleanup.readyPostgres(await cleanup.config({ port, user: 'helix_user', password: 'secret' }));
    assert.equal((await prepare()).command, undefined);
    assert.equal((await docker.calls('ps')).length, 0);
  });

  it('stops a container that a killed run left behind, and has its own start it again', async () => {
    await docker.hasImage();
    const config = { ...postgresConfigOf(plan.services[0]!, plan, []), host: '127.0.0.1' };
    const told = { ...config, docker: { image: 'pg:1', program: docker.engine.program } };
    await (await cleanup.readyPostgres(told)).stop();
    await docker.engine.call(['start', containerName(config.port)]);
    await waitFor('the server', async () => (await tryCredentials(config)).kind === 'ok');
    const spec = await prepare();
    assert.ok(spec.command, 'one of our own, not somebody else’s');
    assert.match(said, /Stopping the container helix-postgres-\d+ that a killed run left behind/);
    assert.notEqual((await tryCredentials(config)).kind, 'ok');
  });
});
