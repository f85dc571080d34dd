import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { CHECKOUT_FILES, checkoutConfig, type CheckoutFile } from '../../../src/model/checkout.ts';
import { configText } from '../../../src/model/config-text.ts';
import { type ConfigProblem, parseConfig } from '../../../src/model/config.ts';
import { withFront } from '../../../src/model/front.ts';
import { planOf } from '../../../src/model/plan-of.ts';
import { withReplicas } from '../../../src/model/replicas.ts';
import { FULL_CONFIG } from './full-config.ts';
import { damaged, type Edit, edits, PIECES } from './fuzz.ts';

const RUNS = { numRuns: 10_000 };
const SETTINGS = {
  envFile: '.env.local',
  names: {},
  publishSettings: true,
  keepOnStop: false,
  postgresEngine: 'auto',
} as const;

/** Either what the reader accepts can be planned, or each of its problems has a place within the text. */
function check(source: string): void {
  const parsed = parseConfig(source);
  if (parsed.ok) {
    const plan = planOf(parsed.config, { workspace: '/w', source: 'config', settings: SETTINGS, env: {} });
    assert(withReplicas(withFront(plan)).services.length > 0);
    return;
  }
  const content = source.replace(/^\ufeff/, '');
  for (const problem of parsed.problems) checkPlace(problem, content);
}

function checkPlace({ line, column, offset, length, message }: ConfigProblem, content: string): void {
  const lines = content.split(/\r\n|\n|\r/);
  assert(Number.isInteger(line) && line >= 1 && line <= lines.length, `line ${line} of ${lines.length}`);
  assert(Number.isInteger(column) && column >= 1 && column <= lines[line - 1]!.length + 1, `column ${column}`);
  assert(offset >= 0 && length >= 0 && offset + length <= content.length);
  const before = content.slice(0, offset).split(/\r\n|\n|\r/);
  assert.deepEqual(
    [line, column],
    [before.length, before.at(-1)!.length + 1],
    'line and column are those of the offset',
  );
  assert(message.length > 0 && !/undefined|\[object/.test(message.replace(JSON.stringify(content), '')), message);
}

const KEYS = fc.constantFrom(
  ...['services', 'command', 'port', 'env', 'API_HOST', 'readiness', 'http', 'log', 'dependsOn', 'from', 'to', 'proxy'],
  ...['publish', 'names', 'restart', 'policy', 'type', 'replicas', 'watch', 'origins', 'image', '__proto__', 'expect'],
  ...['constructor', 'api', 'a', 'a-service-with-quite-a-long-id', 'linux', 'win32', 'toString', ''],
);
const LEAVES = fc.oneof(
  fc.constantFrom('api', 'a', '${port}', '${url:a}', '${', '$${', '(', '/x', 'postgres', '../x', 'http://x:80', 'a b'),
  fc.constantFrom(true, false, null, 0, 1, 2, 12, 9000, 1e99),
  fc.string({ unit: 'binary' }),
  fc.double(),
);
const { value: VALUES } = fc.letrec(tie => ({
  value: fc.oneof(
    { maxDepth: 6 },
    LEAVES,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(KEYS, tie('value'), { maxKeys: 5 }),
  ),
}));

/** One of the objects and lists in it, some of which are deep. */
function containersOf(value: unknown): Record<string, unknown>[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value as Record<string, unknown>, ...Object.values(value).flatMap(containersOf)];
}

interface Change {
  readonly container: number;
  readonly entry: number;
  readonly key: string | undefined;
  readonly value: unknown;
}

const CHANGES: fc.Arbitrary<readonly Change[]> = fc.array(
  fc.record({
    container: fc.nat(),
    entry: fc.nat(),
    key: fc.option(KEYS, { nil: undefined }),
    value: fc.option(VALUES, { nil: undefined, freq: 4 }),
  }),
  { minLength: 1, maxLength: 4 },
);

/** Each change gives an entry another value or none, or adds one. */
function changed(source: string, changes: readonly Change[]): string {
  const config = JSON.parse(source) as unknown;
  for (const { container, entry, key, value } of changes) {
    const all = containersOf(config);
    const inner = all[container % all.length]!;
    const keys = Object.keys(inner);
    const name = key ?? keys[entry % Math.max(1, keys.length)] ?? 'a';
    // As JSON.parse does it: an assignment would set the prototype.
    Object.defineProperty(inner, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return JSON.stringify(config, undefined, 1);
}

describe('whatever a configuration holds, it is planned or refused with a place', function () {
  this.timeout(180_000);
  const checkout = checkoutConfig(new Set(Object.keys(CHECKOUT_FILES) as CheckoutFile[]));
  const texts = [FULL_CONFIG, configText(undefined), configText(checkout)];
  const plain = texts.map(text => {
    const parsed = parseConfig(text);
    assert(parsed.ok, JSON.stringify(parsed));
    return JSON.stringify(parsed.config);
  });

  it('bytes, and the pieces that JSON is made of', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map(array => Buffer.from(array).toString('utf8'));
    const pieces = fc.array(fc.constantFrom(...PIECES)).map(parts => parts.join(''));
    fc.assert(fc.property(fc.oneof(bytes, pieces, fc.string({ unit: 'binary' })), check), RUNS);
    for (const open of ['[', '{"a":']) check(open.repeat(50_000));
  });

  it('a configuration in which somebody has typed and deleted', () => {
    const mistyped = (text: string, changes: readonly Edit[]): void => check(damaged(text, changes));
    fc.assert(fc.property(fc.constantFrom(...texts), edits, mistyped), RUNS);
  });

  it('JSON that says nearly what a configuration says', () => {
    const nearly = (text: string, changes: readonly Change[]): void => check(changed(text, changes));
    fc.assert(fc.property(fc.constantFrom(...plain), CHANGES, nearly), RUNS);
  });

  it('JSON that says anything, some of it about services', () => {
    const service = fc.dictionary(KEYS, VALUES, { maxKeys: 6 });
    const config = fc.record({ services: fc.dictionary(KEYS, service, { maxKeys: 4 }) });
    fc.assert(
      fc.property(fc.oneof(VALUES, config), one => check(JSON.stringify(one) ?? '')),
      RUNS,
    );
  });

  it('a large file of nonsense', () => {
    const nonsense = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key${index}`, { x: [index] }]));
    const parsed = parseConfig(JSON.stringify({ services: { a: nonsense }, ...nonsense }));
    assert(!parsed.ok);
    assert.equal(parsed.problems.length, 100);
  });
});
