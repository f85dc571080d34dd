import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { BANDS, FIXED_PORTS, PROXY_PORT } from '../../../src/model/defaults.ts';
import { type Band, inBand, type Port, toPort } from '../../../src/model/port.ts';
import { type CandidateOptions, candidates } from '../../../src/ports/candidates.ts';
import { portsOf } from '../run/harness.ts';

const anyBand: fc.Arbitrary<Band> = fc
  .tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 0, max: 150 }))
  .map(([from, size]) => ({ from: toPort(from), to: toPort(Math.min(65_535, from + size)) }));

/** Around the band, so that in and out of it both come up. */
const portsNear = (band: Band): fc.Arbitrary<Port> =>
  fc.integer({ min: Math.max(1, band.from - 5), max: Math.min(65_535, band.to + 5) }).map(toPort);

const anyCase = anyBand.chain(band =>
  fc.record({
    band: fc.constant(band),
    sticky: fc.option(portsNear(band), { nil: undefined }),
    avoid: fc.uniqueArray(portsNear(band), { maxLength: 20 }).map(ports => new Set<number>(ports)),
    reserved: fc.uniqueArray(portsNear(band), { maxLength: 5 }),
    random: fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
  }),
);

const next = (random: IterableIterator<number>) => (): number => (random.next() as { value: number }).value;

describe('candidates', () => {
  it('are the whole band but the reserved ports, each once', () => {
    fc.assert(
      fc.property(anyCase, ({ band, random, ...options }) => {
        const found = [...candidates(band, { ...options, random: next(random) })];
        const expected = portsOf(band).filter(port => !options.reserved.includes(port));
        assert.deepEqual(
          found.sort((a, b) => a - b),
          expected,
        );
      }),
    );
  });

  it('begin with the sticky port, if it may be had and is not to be avoided', () => {
    fc.assert(
      fc.property(anyCase, ({ band, random, ...options }) => {
        const { sticky, avoid, reserved } = options;
        fc.pre(sticky !== undefined && inBand(band, sticky) && !avoid.has(sticky) && !reserved.includes(sticky));
        const [first] = candidates(band, { ...options, random: next(random) });
        assert.equal(first, sticky);
      }),
    );
  });

  it('begin with the port to stay on, the preferred one and the sticky one, as far as they may be had', () => {
    const ports = (port: Port, count: number): Port[] => portsOf({ from: port, to: toPort(port + count - 1) });
    const [first, preferred, stays, sticky, reserved] = ports(toPort(100), 5) as [Port, Port, Port, Port, Port];
    const band = { from: stays, to: toPort(110) };
    const begin = (options: CandidateOptions): Port[] =>
      [
        ...candidates(band, { preferred, sticky, reserved: [preferred, reserved], random: () => 0.99, ...options }),
      ].slice(0, 3);
    assert.deepEqual(begin({}), [preferred, sticky, 110]);
    assert.deepEqual(begin({ stays }), [stays, preferred, sticky]);
    assert.deepEqual(begin({ stays: sticky }), [sticky, preferred, 110]);
    assert.deepEqual(begin({ stays: preferred }), [preferred, sticky, 110]);
    assert.deepEqual(begin({ stays: first }), [preferred, sticky, 110], 'one that lies outside');
    assert.deepEqual(begin({ stays: reserved }), [preferred, sticky, 110], 'one that is reserved');
    assert.deepEqual(begin({ sticky: preferred, stays }), [stays, preferred, 110]);
    assert.deepEqual(begin({ stays, avoid: new Set([stays, preferred]) }), [sticky, 110, 109]);
  });

  it('end with the ports to be avoided', () => {
    fc.assert(
      fc.property(anyCase, ({ band, random, ...options }) => {
        const found = [...candidates(band, { ...options, random: next(random) })];
        const avoided = found.map(port => options.avoid.has(port));
        assert.deepEqual(avoided, [...avoided].sort(), 'no other port comes after one of them');
      }),
    );
  });

  it('never hold a fixed port unless asked to', () => {
    const found = [...candidates(BANDS.api, { sticky: PROXY_PORT })];
    assert.equal(found.length, 99);
    for (const fixed of FIXED_PORTS) assert.ok(!found.some(port => port === fixed));
    assert.equal([...candidates(BANDS.api, { reserved: [] })].length, 100);
  });

  it('come in every order with the same likelihood', () => {
    const band = { from: toPort(100), to: toPort(103) };
    let seed = 1;
    // Park and Miller's generator: the same on every run.
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const counts = new Map<string, number>();
    const rounds = 24_000;
    for (let round = 0; round < rounds; round++) {
      const order = [...candidates(band, { random })].join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    assert.equal(counts.size, 24);
    // 1000 of each are expected, with a standard deviation of about 31.
    for (const [order, count] of counts) assert.ok(Math.abs(count - 1000) < 200, `${order} came ${count} times`);
  });

  it('are made one at a time', () => {
    const draws: number[] = [];
    const ports = candidates(BANDS.worker, { random: () => draws.push(0) * 0 });
    ports.next();
    assert.equal(draws.length, 1);
  });
});
