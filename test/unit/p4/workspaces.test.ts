import assert from 'node:assert/strict';
import { Lab, type Row, SERVICES } from '../../chaos/lab.ts';
import { sockets } from '../../chaos/proc.ts';
import { waitFor } from '../../support/wait.ts';

const WORKSPACES = 8;
const ROUNDS = Number(process.env['HELIX_TEST_WORKSPACE_ROUNDS'] ?? 1);

/** One state folder for all, as one user has it; one PostgreSQL port, as `.env` says in every checkout. */
async function neighbours(): Promise<Lab[]> {
  const first = await Lab.make();
  const others = Array.from({ length: WORKSPACES - 1 }, (_, index) => first.neighbour(`checkout-${index + 2}`));
  return [first, ...(await Promise.all(others))];
}

const rowsOf = async (lab: Lab): Promise<Row[]> =>
  (JSON.parse(await lab.must('status', '--json')) as { services: Row[] }).services;

describe(`${WORKSPACES} workspaces on one machine`, function () {
  this.timeout(240_000);
  let labs: Lab[] = [];

  beforeEach(async function () {
    if (process.platform !== 'linux') return this.skip();
    labs = await neighbours();
  });

  afterEach(async () => {
    await labs[0]?.dispose();
  });

  for (let round = 1; round <= ROUNDS; round++) {
    it(`start at once, each on ports of its own, and a stop touches one of them only (round ${round})`, async () => {
      const starts = await Promise.all(labs.map(lab => lab.cli('start', '--detach')));
      assert.deepEqual(
        starts.map(({ code, stderr }) => (code === 0 ? 'started' : stderr)),
        labs.map(() => 'started'),
      );
      const all = await Promise.all(labs.map(rowsOf));
      assert.ok(all.flat().every(row => row.state === 'healthy'));
      const own = all.flat().filter(row => row.id !== 'postgres');
      assert.equal(
        new Set(own.map(row => row.port)).size,
        (SERVICES.length - 1) * WORKSPACES,
        'a port was given twice',
      );
      assert.equal(
        new Set(all.flatMap(rows => rows.filter(row => row.id === 'postgres')).map(row => row.port)).size,
        1,
      );
      for (const { port } of own.filter(row => row.id === 'api')) {
        assert.equal(sockets().filter(one => one.protocol === 'tcp' && one.port === port).length, 1);
      }
      await stopsOnlyItself(0);
      // Whose PostgreSQL it is.
      const owner = (await Promise.all(labs.map(rowsOf))).findIndex(rows => rows.some(hasServer));
      if (owner > 0) await stopsOnlyItself(owner);
      // Twice: a server that others used at the time was left to them.
      for (const lab of [...labs, ...labs]) await lab.must('stop');
      await waitFor('the end of all', () => labs.every(lab => lab.processes().length === 0), {
        seen: () => labs.flatMap(lab => lab.processes().map(one => one.command.join(' '))),
      });
    });
  }

  const hasServer = (row: Row): boolean => row.id === 'postgres' && row.pid !== null;

  /** The shared PostgreSQL may be left by its owner's stop, since the others use it. */
  async function stopsOnlyItself(index: number): Promise<void> {
    const others = labs.filter((_, other) => other !== index);
    const before = await Promise.all(others.map(rowsOf));
    await labs[index]!.must('stop');
    const own = await rowsOf(labs[index]!);
    assert.ok(
      own.every(row => row.state === 'stopped' || hasServer(row)),
      JSON.stringify(own),
    );
    assert.deepEqual(await Promise.all(others.map(rowsOf)), before);
    for (const rows of before.filter(some => some.every(row => row.state === 'healthy'))) {
      const response = await fetch(`${rows.find(row => row.id === 'api')!.url}/api/v1/health`);
      assert.equal(response.status, 200);
    }
  }
});
