import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { parse as parseDotenv } from 'dotenv';
import fc from 'fast-check';
import { UserError } from '../../../src/base/errors.ts';
import { applyBlock, readBlock, removeBlock } from '../../../src/publish/env-block.ts';

const BEGIN = '# >>> HELIX Dynamic Ports: written by the extension, changes here are overwritten';
const END = '# <<< HELIX Dynamic Ports';
const URL = new Map([['HELIX_API_URL', 'http://127.0.0.1:8023']]);
const NOTHING = new Map<string, string>();

const apply = (text: string, values: ReadonlyMap<string, string>): string =>
  applyBlock(Buffer.from(text, 'latin1'), values).content.toString('latin1');

describe('env block', () => {
  it('goes to the end, and says what it is told', () => {
    assert.equal(apply('A=1\n', URL), `A=1\n${BEGIN}\nHELIX_API_URL=http://127.0.0.1:8023\n${END}\n`);
    assert.equal(
      applyBlock(undefined, URL).content.toString(),
      `${BEGIN}\nHELIX_API_URL=http://127.0.0.1:8023\n${END}\n`,
    );
  });

  it('is renewed where it stands', () => {
    const text = `A=1\n${BEGIN}\nOLD=1\n${END}\nB=2\n`;
    assert.equal(apply(text, new Map([['API_PORT', '8001']])), `A=1\n${BEGIN}\nAPI_PORT=8001\n${END}\nB=2\n`);
    assert.equal(apply(text, NOTHING), `A=1\n${BEGIN}\n${END}\nB=2\n`);
  });

  it('is not made just to say nothing', () => {
    assert.equal(apply('A=1', NOTHING), 'A=1');
    assert.equal(applyBlock(undefined, NOTHING).content.length, 0);
  });

  it('has the line ends of the file, and its missing last one', () => {
    assert.equal(apply('A=1\r\nB=2', URL), `A=1\r\nB=2\r\n${BEGIN}\r\nHELIX_API_URL=http://127.0.0.1:8023\r\n${END}`);
    assert.equal(apply('A=1\rB=2\r', NOTHING), 'A=1\rB=2\r');
    assert.equal(apply('\xef\xbb\xbf', URL), `\xef\xbb\xbf${BEGIN}\nHELIX_API_URL=http://127.0.0.1:8023\n${END}\n`);
  });

  it('leaves alone names that the user sets, and tells of them', () => {
    const own = 'export HELIX_API_URL=mine\nNOTE="\nAPI_PORT=7\n"\nOTHER=1\n';
    const values = new Map([...URL, ['API_PORT', '8001']]);
    const { content, shadowed } = applyBlock(Buffer.from(own), values);
    assert.deepEqual(shadowed, ['HELIX_API_URL']);
    assert(content.toString().startsWith(own));
  });

  describe('with damaged marks', () => {
    const rows: [name: string, before: string, after: string][] = [
      ['a begin without an end', `A=1\n${BEGIN}\nHELIX_API_URL=old\nB=2\n`, `A=1\n{}\nB=2\n`],
      ['a begin without anything', `A=1\n${BEGIN}`, `A=1\n{}`],
      ['an end without a begin', `A=1\nHELIX_API_URL=mine\n${END}\nB=2\n`, `A=1\nHELIX_API_URL=mine\n{}\nB=2\n`],
      ['two blocks', `${BEGIN}\nX=1\n${END}\nA=1\n${BEGIN}\nX=2\n${END}\nB=2`, `{}\nA=1\nB=2`],
      ['an end before the begin', `A=1\n${END}\nB=2\n${BEGIN}\nHELIX_API_URL=old\nC=3\n`, `A=1\n{}\nB=2\nC=3\n`],
      ['two begins', `${BEGIN}\nHELIX_API_URL=old\nA=1\n${BEGIN}\nX=2\n${END}\nB=2\n`, `A=1\n{}\nB=2\n`],
      ['two ends', `${BEGIN}\nX=2\n${END}\nA=1\n${END}\nB=2\n`, `{}\nA=1\nB=2\n`],
    ];
    for (const [name, before, after] of rows) {
      it(`${name}: is repaired, and no line of the user's is lost`, () => {
        const block = `${BEGIN}\nHELIX_API_URL=http://127.0.0.1:8023\n${END}`;
        assert.equal(apply(before, URL), after.replace('{}', block));
      });
    }

    it('takes nothing back while it cannot tell what was its own', () => {
      const text = `A=1\n${BEGIN}\nHELIX_API_URL=old\nB=2\n`;
      assert.equal(apply(text, NOTHING), text);
    });
  });

  it('refuses names and values that readers do not agree on, naming the variable', () => {
    for (const value of ['a\nb', 'a\0', '$HOME', 'C:\\x', `it's "x"`, 'a\u2028b', '\ud800']) {
      assert.throws(
        () => applyBlock(undefined, new Map([['MY_NAME', value]])),
        (error: unknown) => {
          assert(error instanceof UserError);
          assert.match(error.message, /^MY_NAME /);
          return true;
        },
      );
    }
    for (const name of ['', 'A B', '1A', 'A=B', 'A-B', 'É']) {
      assert.throws(() => applyBlock(undefined, new Map([[name, 'x']])), UserError);
    }
  });

  describe('for any content', () => {
    const pieces = fc.oneof(
      fc.constantFrom(
        BEGIN,
        END,
        '# >>> HELIX Dynamic Ports',
        '# <<< HELIX Dynamic Ports: x',
        '\xef\xbb\xbf',
        '',
        '  ',
      ),
      fc.constantFrom('HELIX_API_URL=old', 'API_PORT=1', 'USER=1', '# comment', 'export X="a'),
      fc.uint8Array({ maxLength: 12 }).map(bytes => Buffer.from(bytes).toString('latin1')),
    );
    const content = fc
      .array(fc.tuple(pieces, fc.constantFrom('\n', '\r\n', '\r', '')), { maxLength: 12 })
      .map(parts => Buffer.from(parts.flat().join(''), 'latin1'));
    const safeValue = fc.string({ unit: 'binary', maxLength: 30 }).filter(value => isAccepted(value));
    const isAccepted = (value: string): boolean => {
      try {
        applyBlock(undefined, new Map([['A', value]]));
        return true;
      } catch {
        return false;
      }
    };
    const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/);
    const values = fc.array(fc.tuple(name, safeValue), { maxLength: 4 }).map(entries => new Map(entries));
    const hasNoMarks = (bytes: Buffer): boolean => !/[<>]{3} HELIX/.test(bytes.toString('latin1'));

    it('has no line end made of two where a stray mark between them goes', () => {
      const once = applyBlock(Buffer.from(`${BEGIN}\r${BEGIN}\n\nX=1\r`), new Map([['A', '']])).content;
      assert.deepEqual(applyBlock(once, new Map([['A', '']])).content, once);
      assert.ok(once.toString().endsWith('\nX=1\r'));
    });

    it('has no mark come to light where a stray one above it goes', () => {
      const once = applyBlock(Buffer.from(`${BEGIN}\n\xef\xbb\xbf${BEGIN}\n${BEGIN}\n${END}\n`, 'latin1'), new Map());
      assert.deepEqual(applyBlock(once.content, new Map()).content, once.content);
    });

    it('twice is the same as once, and taking it back the same as never', () => {
      fc.assert(
        fc.property(content, values, values, (bytes, first, second) => {
          const once = applyBlock(bytes, first).content;
          assert.deepEqual(applyBlock(once, first).content, once);
          const other = applyBlock(once, second).content;
          if (hasNoMarks(bytes)) {
            assert.deepEqual(removeBlock(once), bytes);
            assert.deepEqual(removeBlock(other), bytes);
          }
        }),
        { numRuns: 2000 },
      );
    });

    it('every byte outside is kept', () => {
      fc.assert(
        fc.property(content.filter(hasNoMarks), content.filter(hasNoMarks), values, (before, after, said) => {
          const head =
            before.length > 0 && !/[\r\n]$/.test(before.toString('latin1')) ? [before, Buffer.from('\n')] : [before];
          const whole = Buffer.concat([...head, Buffer.from(`${BEGIN}\nX=1\n${END}\n`), after]);
          const result = applyBlock(whole, said).content;
          const middle = result.subarray(Buffer.concat(head).length, result.length - after.length).toString();
          assert.deepEqual(
            result.subarray(0, result.length - after.length - Buffer.byteLength(middle)),
            Buffer.concat(head),
          );
          assert.deepEqual(result.subarray(result.length - after.length), after);
          assert(middle.startsWith(BEGIN));
          assert(middle.trimEnd().endsWith(END));
        }),
        { numRuns: 1000 },
      );
    });

    it('no line of the user is lost or moved, whatever happened to the marks', () => {
      const line = fc.oneof(
        fc.constantFrom(BEGIN, END, 'API_PORT=1'),
        fc.nat(99).map(number => `USER_${number}=x`),
      );
      fc.assert(
        fc.property(fc.array(line, { maxLength: 14 }), fc.constantFrom('', '\n'), (lines, last) => {
          const result = apply(lines.join('\n') + last, new Map([['API_PORT', '8001']]));
          const kept = result.split('\n').filter(one => one.startsWith('USER_'));
          assert.deepEqual(
            kept,
            outsideBlocks(lines).filter(one => one.startsWith('USER_')),
          );
          assert.equal(result.split(BEGIN).length, 2);
          assert.equal(result.split(END).length, 2);
        }),
        { numRuns: 1000 },
      );
    });

    it('dotenv reads back what was written, and so do we', () => {
      fc.assert(
        fc.property(values, said => {
          const { content: result } = applyBlock(Buffer.from('USER_OWN="x y"\n# note\n'), said);
          assert.deepEqual(parseDotenv(result), { USER_OWN: 'x y', ...Object.fromEntries(said) });
          assert.deepEqual(readBlock(result) ?? NOTHING, said);
        }),
        { numRuns: 1000 },
      );
    });

    it('python-dotenv and a POSIX shell read back the same', function () {
      const said = fc
        .sample(values, 300)
        .flatMap(one => [...one])
        .map(([, value], index) => [`N${index}`, value] as const);
      const { content: result } = applyBlock(undefined, new Map(said));
      const shell = spawnSync('sh', ['-c', 'set -a; eval "$(cat)"; exec env -0'], { input: result, env: {} });
      if (shell.status === 0) assert.deepEqual(entriesOf(shell.stdout, said), said);
      const script =
        'import sys, json, dotenv; print(json.dumps(dotenv.dotenv_values(stream=open(0, encoding="utf-8", newline=""))))';
      const python = spawnSync('python3', ['-c', script], {
        input: result,
        env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
      });
      if (python.status !== 0) this.skip();
      assert.deepEqual(Object.entries(JSON.parse(python.stdout.toString()) as object), said);
    });
  });

  it('reads what a block says, and nothing outside it', () => {
    const text = Buffer.from(`A=1\n${BEGIN}\nAPI_PORT=8001\nNAME='a b'\n${END}\nB=2\n`);
    assert.deepEqual(
      readBlock(text),
      new Map([
        ['API_PORT', '8001'],
        ['NAME', 'a b'],
      ]),
    );
    assert.equal(readBlock(Buffer.from('A=1\n')), undefined);
    assert.equal(readBlock(Buffer.from(`${BEGIN}\nA=1\n`)), undefined);
  });
});

/** The reference: what stands between a begin and the very next mark, an end, is the block's. */
function outsideBlocks(lines: readonly string[]): string[] {
  const text = lines.map(one => `${one}\n`).join('');
  const escape = (mark: string): string => mark.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const block = new RegExp(`^${escape(BEGIN)}\\n(?:(?!# [<>]{3}).*\\n)*?${escape(END)}\\n`, 'gm');
  return text.replace(block, '').split('\n');
}

function entriesOf(output: Buffer, said: readonly (readonly [string, string])[]): [string, string][] {
  const all = new Map(
    output
      .toString()
      .split('\0')
      .map(entry => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  );
  return said.map(([name]) => [name, all.get(name) ?? '']);
}
