import { strict as assert } from 'node:assert';
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { UserError } from '../../../src/base/errors.ts';
import { toPort } from '../../../src/model/port.ts';
import { toServiceId } from '../../../src/model/service.ts';
import { OutputLog, type ProcessOutput } from '../../../src/run/output.ts';
import {
  childrenOf,
  readRecord,
  recordedServices,
  runMarker,
  type ServiceRecord,
  stickyPort,
  writeRecord,
} from '../../../src/run/record.ts';
import { realWorkspace, stackDir, stackKey, stateHome } from '../../../src/run/runtime-dir.ts';
import { Cleanup } from './harness.ts';

const API = toServiceId('api');

describe('files', () => {
  const cleanup = new Cleanup();
  let dir: string;

  beforeEach(async () => {
    dir = await cleanup.folder();
  });

  afterEach(() => cleanup.run());

  describe('output', () => {
    function log(): OutputLog {
      const output = new OutputLog(join(dir, 'deep', 'api.log'), 5);
      cleanup.add(() => output.dispose());
      return output;
    }

    const appendAll = (output: ProcessOutput, chunks: readonly (string | Buffer)[]): string[] =>
      chunks.flatMap(chunk => output.append(Buffer.from(chunk)));

    const cases: [what: string, chunks: (string | Buffer)[], lines: string[]][] = [
      ['whole lines', ['a\nb\n'], ['a', 'b']],
      ['a line in pieces', ['a', 'b', 'c\n'], ['abc']],
      ['both ends of line', ['a\r\nb\n\nc\r', '\n'], ['a', 'b', '', 'c']],
      ['colours', ['\x1b[32mgreen\x1b[0m\n'], ['green']],
      ['a colour cut in two', ['\x1b[3', '2mgreen\x1b[0m\n'], ['green']],
      ['a character cut in two', [Buffer.from('端口\n').subarray(0, 4), Buffer.from('端口\n').subarray(4)], ['端口']],
      ['a line that was written over', ['10 %\r50 %\r100 %\n'], ['100 %']],
    ];
    for (const [what, chunks, lines] of cases) {
      it(`reads ${what}`, () => assert.deepEqual(appendAll(log().ofProcess(), chunks), lines));
    }

    it('keeps the two streams apart', () => {
      const output = log().ofProcess();
      output.append(Buffer.from('out'), 'stdout');
      output.append(Buffer.from('err'), 'stderr');
      assert.deepEqual(output.append(Buffer.from('er\n'), 'stderr'), ['errer']);
      assert.deepEqual(output.append(Buffer.from('put\n'), 'stdout'), ['output']);
    });

    it('has the last lines that say something, unfinished ones too', () => {
      const output = log();
      appendAll(output.ofProcess(), ['1\n2\n3\n4\n5\n6\n   \n', 'unfinished\x1b[0m']);
      assert.deepEqual(output.last(3), ['5', '6', 'unfinished']);
      assert.deepEqual(output.last(100), ['3', '4', '5', '6', 'unfinished'], 'no more than it keeps');
    });

    it('keeps the processes apart that write at the same time', () => {
      const output = log();
      const [old, next] = [output.ofProcess(), output.ofProcess()];
      old.append(Buffer.from('old is at '));
      next.append(Buffer.from('next: no module\nnext en'));
      old.append(Buffer.from('work\n'));
      next.end();
      assert.deepEqual(next.last(9), ['next: no module', 'next en']);
      assert.deepEqual(old.last(9), ['old is at work']);
      assert.deepEqual(output.last(9), ['next: no module', 'old is at work', 'next en'], 'the log has all of them');
    });

    it('makes a line of what a process that is gone had begun, and does not add the next one to it', () => {
      const output = log();
      const told: string[] = [];
      output.onLines(lines => told.push(...lines));
      const first = output.ofProcess();
      first.append(Buffer.from('cut o'));
      first.end();
      first.end();
      output.ofProcess().append(Buffer.from('again\n'));
      assert.deepEqual(told, ['cut o', 'again']);
      assert.deepEqual(output.last(9), ['cut o', 'again']);
    });

    it('does not grow with a line that never ends', () => {
      const output = log().ofProcess();
      for (let count = 0; count < 4; count++) output.append(Buffer.alloc(64 * 1024, 'x'));
      assert.equal(output.append(Buffer.from('\n'))[0]!.length, 64 * 1024);
    });

    it('writes everything to its file, byte by byte, for its user alone, after what was there', async () => {
      log().ofProcess().append(Buffer.from('\x1b[32mfirst\n'));
      log().ofProcess().append(Buffer.from('second'));
      const file = join(dir, 'deep', 'api.log');
      assert.equal(await readFile(file, 'utf8'), '\x1b[32mfirst\nsecond');
      assert.equal((await stat(file)).mode & 0o777, 0o600);
    });

    it('turns a file over that has grown large', async () => {
      const file = join(dir, 'deep', 'api.log');
      const output = log();
      output.ofProcess().append(Buffer.from('old'));
      output.dispose();
      await truncate(file, 5 << 20);
      const next = log().ofProcess();
      next.append(Buffer.from('large by now'));
      next.append(Buffer.from('new'));
      assert.equal(await readFile(file, 'utf8'), 'new');
      assert.ok((await stat(`${file}.1`)).size > 5 << 20);
    });

    it('loses no lines where the file cannot be written', async () => {
      await mkdir(join(dir, 'deep', 'api.log'), { recursive: true });
      assert.deepEqual(log().ofProcess().append(Buffer.from('a\n')), ['a']);
    });
  });

  describe('record', () => {
    const record: ServiceRecord = {
      version: 1,
      workspace: '/w',
      service: 'api',
      port: toPort(8023),
      sticky: toPort(8042),
      wanted: 'running',
      supervisor: { pid: 1, startedAt: 'x' },
      child: { pid: 2, startedAt: 'y' },
      runMarker: 'm',
    };

    it('is read as it was written, and for its user alone', async () => {
      await writeRecord(dir, record);
      assert.deepEqual(await readRecord(dir, API), record);
      assert.equal((await stat(join(dir, 'api.json'))).mode & 0o777, 0o600);
      const { port: _port, sticky: _sticky, child: _child, ...least } = record;
      await writeRecord(dir, least);
      assert.deepEqual(await readRecord(dir, API), least);
      assert.deepEqual(await readdir(dir), ['api.json'], 'and nothing else is left');
    });

    it('names every process that a killed supervisor may have left, also one of an earlier version', async () => {
      const [beside, ...leaving] = [3, 4, 5].map(pid => ({ pid, startedAt: 'z' }));
      await writeRecord(dir, { ...record, beside, leaving });
      assert.deepEqual(childrenOf(await readRecord(dir, API)), [record.child, beside, ...leaving]);
      await writeRecord(dir, { ...record, beside });
      assert.deepEqual(childrenOf(await readRecord(dir, API)), [record.child, beside]);
    });

    const damaged: [what: string, text: string][] = [
      ['nothing', ''],
      ['half of it', JSON.stringify(record).slice(0, 40)],
      ['no object', '[]'],
      ['another version', JSON.stringify({ ...record, version: 2 })],
      ['a port that is none', JSON.stringify({ ...record, port: 70_000 })],
      ['a sticky port that is none', JSON.stringify({ ...record, sticky: '8042' })],
      ['a pid that is none', JSON.stringify({ ...record, child: { pid: -1, startedAt: '' } })],
      ['a wish that is none', JSON.stringify({ ...record, wanted: 'dancing' })],
      ['zeros', '\0'.repeat(100)],
    ];
    for (const [what, text] of damaged) {
      it(`is none where the file holds ${what}`, async () => {
        await writeFile(join(dir, 'api.json'), text);
        assert.equal(await readRecord(dir, API), undefined);
      });
    }

    it('is none where there is no file, or it is a folder', async () => {
      assert.equal(await readRecord(dir, API), undefined);
      await mkdir(join(dir, 'api.json'));
      assert.equal(await readRecord(dir, API), undefined);
    });

    it('takes the place of a folder, and of nothing else that it could not write over', async () => {
      await mkdir(join(dir, 'api.json', 'inner'), { recursive: true });
      await writeRecord(dir, record);
      assert.deepEqual(await readRecord(dir, API), record);
      await assert.rejects(writeRecord(join(dir, 'missing'), record));
    });

    it('is left as it is where a new one cannot be written', async function () {
      if (process.platform !== 'linux') return this.skip();
      // Nobody, not even root, can make a file beside this one, as on a full disk.
      await symlink('/proc/version', join(dir, 'api.json'));
      await assert.rejects(writeRecord(dir, record), (error: unknown) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, /api\.json cannot be written: .*\. Make .* writable/);
        return true;
      });
      assert.deepEqual(await readdir(dir), ['api.json']);
    });

    it('is gone where it cannot be written that the service is stopped, which is not to be taken for killed', async function () {
      if (process.platform !== 'linux') return this.skip();
      await symlink('/proc/version', join(dir, 'api.json'));
      await writeRecord(dir, { ...record, wanted: 'stopped' });
      assert.deepEqual(await readdir(dir), []);
      await assert.rejects(writeRecord(join(dir, 'missing', 'deep'), record), UserError);
    });

    it('is whole at every moment, however many are written', async () => {
      await writeRecord(dir, record);
      const writes = Array.from({ length: 50 }, (_, index) =>
        writeRecord(dir, { ...record, port: toPort(8000 + index) }),
      );
      const reads = Array.from({ length: 50 }, () => readRecord(dir, API));
      assert.ok((await Promise.all(reads)).every(Boolean));
      await Promise.all(writes);
      assert.equal((await readRecord(dir, API))?.port, 8049, 'the last one counts');
    });

    it('tells the sticky port, which is the port itself where no other one is told', () => {
      const { sticky: _sticky, ...one } = record;
      assert.equal(stickyPort(record), 8042);
      assert.equal(stickyPort(one), 8023);
      assert.equal(stickyPort(undefined), undefined);
    });

    it('is found for every service, and what is not one is passed over', async () => {
      await writeRecord(dir, record);
      await writeRecord(dir, { ...record, service: 'worker-2' });
      for (const file of ['.hidden.json', 'UPPER.json', 'api.log', 'x.json.123']) await writeFile(join(dir, file), '');
      assert.deepEqual((await recordedServices(dir)).sort(), ['api', 'worker-2']);
    });

    it('has a marker of its own for each stack and service', () => {
      const markers = [runMarker('/a', API), runMarker('/b', API), runMarker('/a', toServiceId('worker'))];
      assert.equal(new Set(markers).size, 3);
      assert.equal(runMarker('/a', API), markers[0]);
    });
  });

  describe('state folder', () => {
    it('is where HELIX_PORTS_HOME says, whatever folder that is said in, and else in the home folder', () => {
      assert.equal(stateHome({ HELIX_PORTS_HOME: '/x' }), '/x');
      assert.equal(stateHome({ HELIX_PORTS_HOME: 'x' }), resolve('x'));
      assert.match(stateHome({ HELIX_PORTS_HOME: '' }), /helix-ports$/);
      assert.match(stateHome({}), /helix-ports$/);
    });

    it('is made for its user alone, or made so', async () => {
      const env = { HELIX_PORTS_HOME: join(dir, 'home') };
      const made = stackDir('/w', env);
      assert.equal((await stat(made)).mode & 0o777, 0o700);
      await chmod(made, 0o777);
      assert.equal(stackDir('/w', env), made);
      assert.equal((await stat(made)).mode & 0o777, 0o700);
    });

    it('is another one for every workspace', () => {
      assert.notEqual(stackKey('/a'), stackKey('/b'));
      assert.match(stackKey('/a'), /^[0-9a-f]{12}$/);
    });

    it('is not one that somebody laid there', async () => {
      const env = { HELIX_PORTS_HOME: dir };
      const path = join(dir, stackKey('/w'));
      await mkdir(join(dir, 'elsewhere'));
      await symlink(join(dir, 'elsewhere'), path);
      assert.throws(() => stackDir('/w', env), UserError);
      await rm(path);
      await writeFile(path, '');
      assert.throws(() => stackDir('/w', env), UserError);
    });

    it('is said to be the trouble where it cannot be made', async () => {
      await writeFile(join(dir, 'file'), '');
      const make = (): unknown => stackDir('/w', { HELIX_PORTS_HOME: join(dir, 'file', 'home') });
      assert.throws(make, (error: unknown) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, /cannot be made: .*Set HELIX_PORTS_HOME to a folder of your own/);
        return true;
      });
    });

    it('has a short path, so that sockets in it can be bound, and no less private', async () => {
      const long = stackDir('/w', { HELIX_PORTS_HOME: join(dir, 'x'.repeat(100)) });
      cleanup.add(() => rm(long, { recursive: true, force: true }));
      assert.ok(Buffer.byteLength(join(long, `${'s'.repeat(31)}.12345678.sock`)) <= 103, long);
      assert.equal((await lstat(long)).mode & 0o777, 0o700);
      assert.equal((await lstat(join(long, '..'))).mode & 0o777, 0o700);
      assert.equal((await lstat(long)).uid, userInfo().uid);
    });

    it('of a workspace goes by its real path', async () => {
      await mkdir(join(dir, 'real'));
      await symlink(join(dir, 'real'), join(dir, 'link'));
      assert.equal(realWorkspace(join(dir, 'link')), await realpath(join(dir, 'real')));
      assert.throws(() => realWorkspace(join(dir, 'missing')), UserError);
    });
  });
});
