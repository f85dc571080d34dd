import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { UserError } from '../../../src/base/errors.ts';
import { substitute, substituteKnown, type VariableLookup, variablesOf } from '../../../src/model/variables.ts';

const LOOKUP: VariableLookup = {
  port: 8023,
  node: '/usr/bin/node',
  workspaceFolder: '/home/a/work',
  url: id => (id === 'api' ? 'http://127.0.0.1:8023' : undefined),
  portOf: id => (id === 'postgres' ? '5432' : undefined),
  env: name => (name === 'HOME' ? '/home/a' : undefined),
};

describe('variables', () => {
  const rows: [template: string, result: string][] = [
    ['plain $ text { } $x', 'plain $ text { } $x'],
    ['${port}', '8023'],
    ['${node} ${workspaceFolder}/x', '/usr/bin/node /home/a/work/x'],
    ['${url:api}/v1?p=${port:postgres}', 'http://127.0.0.1:8023/v1?p=5432'],
    ['${env:HOME}', '/home/a'],
    ['$${port}', '${port}'],
    ['$$${port}', '$8023'],
    ['$$$${port}', '$${port}'],
    ['$${a ${port}}', '${a 8023}'],
    ['${port}${port}}', '80238023}'],
    ['', ''],
  ];
  for (const [template, result] of rows) {
    it(`makes ${JSON.stringify(template)} ${JSON.stringify(result)}`, () => {
      assert.equal(substitute(template, LOOKUP), result);
    });
  }

  it('names the variable without a value, and where it stands', () => {
    for (const text of [
      '${PORT}',
      '${url:nobody}',
      '${env:UNSET}',
      '${port:}',
      '${}',
      '${ port }',
      '${node:x}',
      '${port',
    ]) {
      assert.throws(
        () => substitute(`see ${text}`, LOOKUP),
        (error: unknown) => {
          assert(error instanceof UserError);
          assert(error.message.startsWith(`${text} in "see ${text}" has no value`), error.message);
          return true;
        },
      );
    }
  });

  it('lists variables with their places', () => {
    assert.deepEqual(variablesOf('a ${port} $${x} ${url:api} ${env:A:B} ${oh'), [
      { kind: 'port', argument: undefined, offset: 2, text: '${port}' },
      { kind: 'url', argument: 'api', offset: 16, text: '${url:api}' },
      { kind: 'env', argument: 'A:B', offset: 27, text: '${env:A:B}' },
      { kind: '', argument: undefined, offset: 38, text: '${oh' },
    ]);
  });

  it('leaves what it does not know to somebody else', () => {
    const known = substituteKnown('${node} $${x} ${port} ${env:HOME}', { env: () => '$${port}${' });
    assert.equal(substitute(known, LOOKUP), '/usr/bin/node ${x} 8023 $${port}${');
  });

  describe('for any text', () => {
    const text = fc
      .array(fc.constantFrom('$', '{', '}', '${', '${port}', '${env:A}', '${node}', ':', 'x'), { maxLength: 10 })
      .map(parts => parts.join(''));

    it('a value means itself, in one step or in two', () => {
      fc.assert(
        fc.property(text, text, text, (template, value, node) => {
          const whole = (): string => substitute(template, { port: 1, node, env: () => value });
          const steps = (): string => substitute(substituteKnown(template, { env: () => value }), { port: 1, node });
          assert.deepEqual(outcome(steps), outcome(whole));
        }),
        { numRuns: 2000 },
      );
    });
  });
});

function outcome(run: () => string): string | undefined {
  try {
    return run();
  } catch (error) {
    assert(error instanceof UserError);
    return undefined;
  }
}
