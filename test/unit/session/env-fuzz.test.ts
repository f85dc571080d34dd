import { strict as assert } from 'node:assert';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'dotenv';
import fc from 'fast-check';
import { UserError } from '../../../src/base/errors.ts';
import { envValues, parseEnvFile } from '../../../src/model/env-file.ts';
import { DEFAULT_PLAN_SETTINGS, loadPlan } from '../../../src/session/load-plan.ts';
import { damaged, editsWith } from '../model/fuzz.ts';

const VALID = `# What a HELIX is told
POSTGRES_HOST=localhost
POSTGRES_PORT=5432
export POSTGRES_PASSWORD="it's \\"quoted\\" # not a comment"
POSTGRES_USER = helix_user # a comment
API_HOST='127.0.0.1'
API_PORT=
PRIVATE_KEY="-----BEGIN-----
API_HOST=inside of it
-----END-----"
ALLOWED_ORIGINS=\`http://localhost:3000,http://localhost:8000\`
`;

const PIECES = fc.oneof(
  fc.constantFrom('"\nA=1\n"', "'\nB: 2\n", 'A', 'API_HOST=', 'POSTGRES_PORT=', 'export ', 'x.y-z', '=', ':', ' '),
  fc.constantFrom('"', "'", '`', '#', '\\', '$', '1', '\0', '\n', '\r', '\r\n', '\u2028', '\t', '\ufeff'),
  fc.string({ unit: 'binary', maxLength: 6 }),
);
const lines = (text: string): string[] => text.split(/\r\n|\n|\r/);

describe('whatever a .env holds, it is read as dotenv reads it or refused with a place', function () {
  this.timeout(180_000);
  const RUNS = { numRuns: 10_000 };
  let folder = '';

  before(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'helix-env-')));
    const services = { api: { command: ['x'] }, postgres: { type: 'postgres' } };
    await writeFile(join(folder, 'helix.config.json'), JSON.stringify({ services }));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  function read(text: string): void {
    const parsed = parseEnvFile(text);
    if (!parsed.ok) {
      const { line, column, message } = parsed.problem;
      assert.ok(message.length > 0);
      assert.equal(lines(text)[line - 1]?.[column - 1], '\0');
      return;
    }
    assert.deepEqual({ ...envValues(parsed.variables) }, { ...parse(text) });
    for (const { name, line, column } of parsed.variables) {
      assert.equal(lines(text)[line - 1]?.slice(column - 1, column - 1 + name.length), name);
    }
  }

  /** As the start does, from the file. */
  async function load(text: string): Promise<void> {
    read(text);
    const file = join(folder, '.env');
    await writeFile(file, text);
    const [plan, error] = await loadPlan(folder, DEFAULT_PLAN_SETTINGS, {}).then(
      found => [found, undefined] as const,
      (thrown: unknown) => [undefined, thrown] as const,
    );
    if (plan) return assert.equal(plan.services.length, 3);
    assert.ok(error instanceof UserError, String(error));
    const [, where, line, column] = /^(.*?):(\d+):(\d+): ./.exec(error.message) ?? [];
    assert.equal(where, file, error.message);
    const at = lines(text)[Number(line) - 1]?.slice(Number(column) - 1) ?? '';
    assert.match(at, /^(\0|API_HOST|POSTGRES_PORT)/, error.message);
  }

  it('bytes, and the pieces that it is made of', () => {
    const pieces = fc.array(PIECES, { maxLength: 40 }).map(parts => parts.join(''));
    const bytes = fc.uint8Array({ maxLength: 60 }).map(array => Buffer.from(array).toString('utf8'));
    fc.assert(fc.property(fc.oneof(pieces, bytes, fc.string({ unit: 'binary' })), read), RUNS);
  });

  it('one in which somebody has typed and deleted', async () => {
    const mistyped = editsWith(PIECES).map(changes => damaged(VALID, changes));
    fc.assert(fc.property(mistyped, read), RUNS);
    await fc.assert(fc.asyncProperty(mistyped, load), { numRuns: 1_000 });
  });

  it('assignments of anything to the names that count', () => {
    const name = fc.constantFrom('API_HOST', 'POSTGRES_PORT', 'POSTGRES_HOST', 'API_PORT', 'POSTGRES_PASSWORD', 'A');
    const value = fc.oneof(
      fc.constantFrom('', '0', '5432', '65536', '1e3', '0x10', ' 80 ', '::1', '[::1]', 'a b', 'localhost', '"a\nb"'),
      fc.string({ unit: 'binary', maxLength: 8 }),
    );
    const assignment = fc
      .tuple(fc.constantFrom('', 'export ', ' '), name, fc.constantFrom('=', ' = ', ': '), value)
      .map(parts => parts.join(''));
    const text = fc
      .tuple(fc.array(assignment, { maxLength: 6 }), fc.constantFrom('\n', '\r\n', '\r'))
      .map(([all, end]) => all.join(end));
    return fc.assert(fc.asyncProperty(text, load), RUNS);
  });
});
