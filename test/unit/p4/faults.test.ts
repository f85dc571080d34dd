import assert from 'node:assert/strict';
import { readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { FAULT_POINTS, type FaultPoint } from '../../../src/base/fault.ts';
import { Lab, SERVICES } from '../../chaos/lab.ts';
import { statusViolations, violations } from '../../chaos/truth.ts';
import { waitFor } from '../../support/wait.ts';

/** At these the command line itself ends; at the others its supervisors do, however often it replaces them. */
const isOfClient = (point: FaultPoint): boolean => point.startsWith('client.') || point === 'envFile.halfWritten';

describe('a crash between two steps of a start', function () {
  this.timeout(240_000);
  let lab: Lab;

  before(async function () {
    if (process.platform !== 'linux') return this.skip();
    lab = await Lab.make();
    await lab.must('start', '--detach');
    lab.watch();
  });

  after(() => lab.dispose());

  for (const point of FAULT_POINTS) {
    it(`(${point}) leaves a state from which start works`, async () => {
      await lab.must('stop');
      // Otherwise it would put right what is to be left broken.
      await lab.kill(...lab.keepers());
      const broken = await lab.faulty(point, 'start', '--detach');
      assert.equal(broken.code, isOfClient(point) ? null : 1, `${broken.stdout}${broken.stderr}`);
      for (const file of readdirSync(lab.folder).filter(isHalfWritten)) utimesSync(join(lab.folder, file), 0, 0);
      const start = await lab.cli('start', '--detach');
      assert.equal(start.code, 0, start.stderr);
      await waitFor('a whole stack', async () => (await violations(lab)).length === 0, { seen: () => violations(lab) });
      assert.deepEqual(await statusViolations(lab), []);
      for (const id of SERVICES)
        assert.doesNotThrow(() => JSON.parse(readFileSync(join(lab.dir, `${id}.json`), 'utf8')));
      const left = [lab.dir, lab.folder].flatMap(folder => readdirSync(folder)).filter(isHalfWritten);
      assert.deepEqual(left, []);
    });
  }
});

const isHalfWritten = (name: string): boolean => /\.json\.\d+$|\.tmp$/.test(name);
