import assert from 'node:assert/strict';
import type { Behaviour } from './behaviour.ts';
import { bodyBehaviours } from './behaviours-bodies.ts';
import { fieldBehaviours } from './behaviours-fields.ts';
import { framingBehaviours } from './behaviours-framing.ts';
import { ownBehaviours } from './behaviours-own.ts';
import { streamBehaviours } from './behaviours-streams.ts';
import { upgradeBehaviours } from './behaviours-upgrade.ts';
import { ENGINES, type EngineKind, type RunningEngine, snapshotOf, upstreamAt } from './engines.ts';
import { RawUpstream, Wire } from './wire.ts';

const TABLE: Readonly<Record<string, readonly Behaviour[]>> = {
  framing: framingBehaviours,
  fields: fieldBehaviours,
  streams: streamBehaviours,
  'bodies of requests': bodyBehaviours,
  upgrades: upgradeBehaviours,
  'its own answers': ownBehaviours,
};

for (const kind of ENGINES) {
  describe(`HTTP through the ${kind.kind} engine`, () => {
    for (const [title, behaviours] of Object.entries(TABLE)) describe(title, () => table(kind, behaviours));
  });
}

describe('the table of HTTP behaviours', () => {
  it('has at least 60 rows, no two of one name, and a reason for each difference', () => {
    const rows = Object.values(TABLE).flat();
    assert.ok(rows.length >= 60, `${rows.length} rows`);
    assert.equal(new Set(rows.map(row => row.name)).size, rows.length);
    for (const row of rows) {
      for (const difference of Object.values(row.differs ?? {})) assert.ok(difference.reason.length > 10, row.name);
    }
  });
});

/** What this engine is to do, in this version of it. */
function expectedOf({ expect, differs }: Behaviour, { engine, version }: RunningEngine): unknown {
  const difference = differs?.[engine.kind];
  const isOver = difference?.until && compare(version, difference.until) >= 0;
  return difference && !isOver ? difference.expect : expect;
}

const compare = (one: readonly number[], other: readonly number[]): number =>
  other.map((part, i) => (one[i] ?? 0) - part).find(difference => difference !== 0) ?? 0;

function table(kind: EngineKind, behaviours: readonly Behaviour[]): void {
  let running: RunningEngine;

  before(async function () {
    const started = await kind.start();
    if (!('missing' in started)) running = started;
    else {
      console.log(`skipped: ${started.missing}`);
      this.skip();
    }
  });
  after(() => running?.stop());

  for (const behaviour of behaviours) {
    it(behaviour.name, async () => {
      const upstream = await RawUpstream.listen();
      const clients: Wire[] = [];
      const client = async (): Promise<Wire> => {
        const wire = await Wire.open(running.port);
        clients.push(wire);
        return wire;
      };
      try {
        await running.engine.update(snapshotOf(upstreamAt(upstream.port)));
        const seen = await behaviour.run({ port: running.port, upstream, client });
        assert.deepEqual(seen, expectedOf(behaviour, running));
      } finally {
        for (const one of clients) one.close();
        await upstream.close();
      }
    });
  }
}
