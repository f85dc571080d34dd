import { strict as assert } from 'node:assert';
import { type EnvVariable, envValues, parseEnvFile } from '../../../src/model/env-file.ts';

const variables = (text: string): readonly EnvVariable[] => {
  const parsed = parseEnvFile(text);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.variables;
};

const places = (text: string): [string, string, number, number][] =>
  variables(text).map(({ name, value, line, column }) => [name, value, line, column]);

describe('.env', () => {
  it('is read with the place of each variable', () => {
    assert.deepEqual(places('\ufeff# comment\r\nA=1\r\n\r\n  export B = "two" # why\rC: 3\n'), [
      ['A', '1', 2, 1],
      ['B', 'two', 4, 10],
      ['C', '3', 5, 1],
    ]);
  });

  it('takes no line of a quoted value for a variable', () => {
    assert.deepEqual(places('KEY="-----\nINSIDE=1\n-----"\nNEXT=2'), [
      ['KEY', '-----\nINSIDE=1\n-----', 1, 1],
      ['NEXT', '2', 4, 1],
    ]);
  });

  it('keeps both of two assignments, of which the last one counts', () => {
    const text = 'API_PORT=8000\nAPI_PORT=\n';
    assert.deepEqual(places(text), [
      ['API_PORT', '8000', 1, 1],
      ['API_PORT', '', 2, 1],
    ]);
    assert.deepEqual(envValues(variables(text)), { API_PORT: '' });
  });

  it('is refused where nothing can be read, with the place', () => {
    const utf16 = parseEnvFile(Buffer.from('\ufeffA=1\n', 'utf16le').toString('utf8'));
    assert.ok(!utf16.ok);
    assert.match(utf16.problem.message, /UTF-16.*Save it as UTF-8/);
    assert.deepEqual(parseEnvFile('A=1\nB=\0'), {
      ok: false,
      problem: { message: 'A NUL character cannot be part of a variable. Remove it.', line: 2, column: 3 },
    });
  });
});
