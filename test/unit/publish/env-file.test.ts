import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import fsPromises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { UserError } from '../../../src/base/errors.ts';
import { readEnvBlock, writeEnvBlock } from '../../../src/publish/env-file.ts';

const VALUES = new Map([['API_PORT', '8023']]);
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const isPosix = process.platform !== 'win32';

describe('env file', () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'helix-env-'));
    file = join(folder, '.env.local');
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Refused with a message that names the file, and not a byte or a name in the folder is another. */
  async function refused(expected: RegExp, target = file): Promise<void> {
    const before = readdirSync(folder);
    await assert.rejects(writeEnvBlock(target, VALUES), (error: unknown) => {
      assert(error instanceof UserError, String(error));
      assert(error.message.startsWith(target), error.message);
      assert.match(error.message, expected);
      return true;
    });
    assert.deepEqual(readdirSync(folder), before);
  }

  /** Root may do anything, so what is forbidden is tried as somebody else. */
  async function asOrdinaryUser(test: () => Promise<void>): Promise<void> {
    if (!isRoot) return test();
    process.seteuid!(NOBODY);
    try {
      await test();
    } finally {
      process.seteuid!(0);
    }
  }

  it('is made when there is something to say, and not before', async () => {
    assert.deepEqual(await writeEnvBlock(file, new Map()), { changed: false, shadowed: [] });
    assert.deepEqual(readdirSync(folder), []);
    assert.deepEqual(await writeEnvBlock(file, VALUES), { changed: true, shadowed: [] });
    assert.deepEqual(parseDotenv(readFileSync(file)), { API_PORT: '8023' });
    assert.deepEqual(readdirSync(folder), ['.env.local']);
  });

  it('is written only when something differs', async () => {
    writeFileSync(file, 'API_PORT=1\n');
    await writeEnvBlock(file, VALUES);
    const { ino } = statSync(file);
    assert.deepEqual(await writeEnvBlock(file, VALUES), { changed: false, shadowed: ['API_PORT'] });
    assert.equal(statSync(file).ino, ino);
    assert.deepEqual(await readEnvBlock(file), VALUES);
    await writeEnvBlock(file, new Map());
    assert.deepEqual(await readEnvBlock(file), new Map());
    assert.match(readFileSync(file, 'utf8'), /^API_PORT=1\n# >>> [^\n]*\n# <<< [^\n]*\n$/);
  });

  it('has no block to read where there is no file', async () => {
    assert.equal(await readEnvBlock(file), undefined);
  });

  it('keeps its mode and its owner', async function () {
    if (!isPosix) this.skip();
    writeFileSync(file, 'A=1\n');
    if (isRoot) chownSync(file, NOBODY, NOBODY);
    chmodSync(file, 0o640);
    const before = statSync(file);
    await writeEnvBlock(file, VALUES);
    const after = statSync(file);
    assert.deepEqual([after.mode, after.uid, after.gid], [before.mode, before.uid, before.gid]);
    assert.notEqual(after.ino, before.ino);
  });

  it('is written through a link, which stays one', async function () {
    if (!isPosix) this.skip();
    mkdirSync(join(folder, 'shared'));
    writeFileSync(join(folder, 'shared', 'env'), 'A=1\n');
    symlinkSync('shared/env', file);
    await writeEnvBlock(file, VALUES);
    assert.equal(readlinkSync(file), 'shared/env');
    assert(lstatSync(join(folder, 'shared', 'env')).isFile());
    assert.deepEqual(parseDotenv(readFileSync(file)), { A: '1', API_PORT: '8023' });
    assert.deepEqual(readdirSync(join(folder, 'shared')), ['env']);
  });

  it('keeps what somebody else writes meanwhile', async () => {
    writeFileSync(file, 'A=1\n');
    const { open } = fsPromises;
    let edits = 0;
    fsPromises.open = (...args) => {
      if (edits++ < 2) appendFileSync(file, `B${edits}=x\n`);
      return open(...args);
    };
    try {
      await writeEnvBlock(file, VALUES);
    } finally {
      fsPromises.open = open;
    }
    assert.equal(edits, 3);
    assert.deepEqual(parseDotenv(readFileSync(file)), { A: '1', B1: 'x', B2: 'x', API_PORT: '8023' });
    assert.deepEqual(readdirSync(folder), ['.env.local']);
  });

  it('gives up on a file that never rests', async () => {
    writeFileSync(file, 'A=1\n');
    const { open } = fsPromises;
    fsPromises.open = (...args) => {
      appendFileSync(file, '#\n');
      return open(...args);
    };
    try {
      await refused(/keeps changing/);
    } finally {
      fsPromises.open = open;
    }
    assert.match(readFileSync(file, 'utf8'), /^A=1\n(#\n)+$/);
  });

  it('has room for several writers at once', async () => {
    writeFileSync(file, 'A=1\n');
    const said = [1, 2, 3, 4].map(number => new Map([['API_PORT', String(8000 + number)]]));
    await Promise.all(said.map(values => writeEnvBlock(file, values)));
    const { A, API_PORT } = parseDotenv(readFileSync(file));
    assert.equal(A, '1');
    assert.match(API_PORT ?? '', /^800[1-4]$/);
    assert.deepEqual(readdirSync(folder), ['.env.local']);
  });

  describe('is refused, untouched,', () => {
    it('when it is a folder', async () => {
      mkdirSync(file);
      await refused(/it is a folder/);
    });

    it('when it is a link to nothing, or to itself', async function () {
      if (!isPosix) this.skip();
      symlinkSync('nowhere', file);
      await refused(/link to a file that does not exist/);
      rmSync(file);
      symlinkSync('.env.local', file);
      await refused(/leads back to itself/);
    });

    it('when it is a named pipe, without waiting for its writer', async function () {
      if (!isPosix) this.skip();
      execFileSync('mkfifo', [file]);
      await refused(/not a regular file/);
    });

    it('when it is read-only', async function () {
      writeFileSync(file, 'A=1\n');
      chmodSync(file, 0o444);
      await refused(/it is read-only/);
      assert.equal(readFileSync(file, 'utf8'), 'A=1\n');
    });

    it("when it is somebody else's, or its folder is read-only", async function () {
      if (!isPosix) this.skip();
      writeFileSync(file, 'A=1\n', { mode: 0o644 });
      chmodSync(folder, 0o555);
      await asOrdinaryUser(() => refused(/read-only|may not be changed by you/));
      await asOrdinaryUser(() => refused(/may not be changed by you/, join(folder, 'new')));
      chmodSync(folder, 0o755);
      assert.equal(readFileSync(file, 'utf8'), 'A=1\n');
    });

    it('when it cannot be read', async function () {
      if (!isPosix) this.skip();
      writeFileSync(file, 'A=1\n', { mode: 0o200 });
      chmodSync(folder, 0o755);
      await asOrdinaryUser(() => refused(/may not be changed by you/));
    });

    it('when its folder does not exist, or is a file', async () => {
      await refused(/folder .* does not exist/, join(folder, 'no', '.env'));
      writeFileSync(file, '');
      await refused(/folder .* does not exist/, join(file, '.env'));
    });

    it('when it is UTF-16', async () => {
      writeFileSync(file, Buffer.from('\ufeffA=1\r\n', 'utf16le'));
      await refused(/UTF-16/);
    });

    it('when the disk takes only a part of it', function () {
      if (!isPosix) this.skip();
      const whole = `A=1\n${'# a comment\n'.repeat(4000)}`;
      writeFileSync(file, whole);
      // A limit of 16 KiB or 32 KiB, by shell: the write is cut short there, as it is on a full disk.
      const script = `trap '' XFSZ; ulimit -f 32; exec "$@"`;
      const program = join(__dirname, 'write-env-block.cjs');
      const { stdout } = spawnSync('sh', ['-c', script, 'sh', process.execPath, program, file, 'x'], {
        encoding: 'utf8',
      });
      assert(stdout.startsWith(`UserError: ${file} cannot be used`), stdout);
      assert.equal(readFileSync(file, 'utf8'), whole);
      assert.deepEqual(readdirSync(folder), ['.env.local']);
    });
  });
});
