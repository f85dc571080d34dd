import assert from 'node:assert/strict';
import { fitTable } from '../../../src/cli/fit-table.ts';
import { statusRows } from '../../../src/cli/status-table.ts';
import { type ServiceSnapshot, toServiceId } from '../../../src/model/service.ts';

const NOW = 1_000_000_000;

const service = (id: string, more: Partial<ServiceSnapshot> = {}): ServiceSnapshot => ({
  id: toServiceId(id),
  label: id,
  host: '127.0.0.1',
  state: { kind: 'healthy', since: NOW },
  port: 8023,
  url: 'http://127.0.0.1:8023',
  pid: 4711,
  startedAt: NOW - 65_000,
  restarts: 2,
  external: false,
  ...more,
});

function fit(services: readonly ServiceSnapshot[], size: { columns: number; lines: number }): string[] {
  const { header, rows } = statusRows({ workspace: '/w', services }, NOW);
  return fitTable([header, ...rows], { ...size, style: text => text });
}

describe('a table that must fit', () => {
  const worker: ServiceSnapshot = {
    id: toServiceId('worker'),
    label: 'worker',
    host: '127.0.0.1',
    state: { kind: 'stopped' },
    restarts: 0,
    external: false,
  };
  const two = [service('api'), worker];

  it('has all columns where there is room, and says of what is not there that it is not', () => {
    assert.deepEqual(fit(two, { columns: 80, lines: 10 }), [
      'SERVICE  STATE    PORT  URL                    PID   UPTIME     RESTARTS',
      'api      healthy  8023  http://127.0.0.1:8023  4711  1 min 5 s  2',
      'worker   stopped  -     -                      -     -          0',
    ]);
  });

  it('leaves out what tells least, and never exceeds any width', () => {
    assert.equal(fit(two, { columns: 60, lines: 10 })[0], 'SERVICE  STATE    PORT  PID   UPTIME     RESTARTS');
    assert.equal(fit(two, { columns: 30, lines: 10 })[1], 'api      healthy  8023');
    for (let columns = 1; columns <= 90; columns++) {
      for (const line of fit(two, { columns, lines: 10 })) assert.ok(line.length <= columns, `${columns}: ${line}`);
    }
    assert.equal(fit(two, { columns: 5, lines: 10 })[0], 'SERV…');
  });

  it('says how many have no room below', () => {
    const many = Array.from({ length: 20 }, (_, index) => service(`s${index}`));
    const lines = fit(many, { columns: 80, lines: 8 });
    assert.equal(lines.length, 8);
    assert.match(lines[6]!, /^s5 /);
    assert.equal(lines[7], '… and 14 more');
    assert.equal(fit(many, { columns: 80, lines: 21 }).length, 21);
    assert.equal(fit(many, { columns: 80, lines: 1 }).length, 1);
  });
});
