import { strict as assert } from 'node:assert';
import { type HealthCheck, historyCsv, historyJson, summaryOf } from '../../../src/model/health-history.ts';
import { toServiceId } from '../../../src/model/service.ts';

const NOON = Date.UTC(2025, 6, 8, 12);
const ok = (at: number, latencyMs: number): HealthCheck => ({ at: NOON + at, latencyMs, outcome: 'ok', port: 18_023 });
const bad = (at: number, reason: string): HealthCheck => ({ ...ok(at, 1500), outcome: 'silent', reason });

const history = (id: string, ...checks: HealthCheck[]) => ({ id: toServiceId(id), checks, restarts: [], dropped: 0 });

describe('health history', () => {
  it('is CSV in the order of time, whatever service a check is of', () => {
    const csv = historyCsv([history('api', ok(0, 1.23456), ok(2000, 2)), history('worker', ok(1000, 3))]);
    assert.deepEqual(csv.split('\r\n'), [
      'service,time,latencyMs,outcome,port,reason',
      'api,2025-07-08T12:00:00.000Z,1.235,ok,18023,',
      'worker,2025-07-08T12:00:01.000Z,3,ok,18023,',
      'api,2025-07-08T12:00:02.000Z,2,ok,18023,',
      '',
    ]);
  });

  it('quotes what CSV would break at, and makes no formula of it', () => {
    const reasons = ['answers 503, not 200', 'says "no"', 'two\nlines', '=1+1', '@SUM(A1)'];
    const [, ...rows] = historyCsv([history('api', ...reasons.map((reason, at) => bad(at, reason)))]).split('\r\n');
    assert.deepEqual(
      rows.filter(Boolean).map(row => row.slice(row.indexOf('18023,') + 6)),
      ['"answers 503, not 200"', '"says ""no"""', '"two\nlines"', "'=1+1", "'@SUM(A1)"],
    );
  });

  it('is JSON with restarts and what was not kept', () => {
    const one = { ...history('api', bad(0, 'late')), restarts: [{ at: NOON, reason: 'ended by SIGKILL' }], dropped: 7 };
    assert.deepEqual(JSON.parse(historyJson('/home/me/project', [one])), {
      workspace: '/home/me/project',
      services: [
        {
          id: 'api',
          dropped: 7,
          checks: [
            { time: '2025-07-08T12:00:00.000Z', latencyMs: 1500, outcome: 'silent', reason: 'late', port: 18_023 },
          ],
          restarts: [{ time: '2025-07-08T12:00:00.000Z', reason: 'ended by SIGKILL' }],
        },
      ],
    });
  });

  it('is summed up by what was answered', () => {
    assert.equal(summaryOf([]), undefined);
    assert.equal(summaryOf([bad(0, 'late')]), undefined);
    const summary = summaryOf([ok(0, 9), bad(1, 'late'), ok(2, 1), ok(3, 2), ok(4, 3)]);
    assert.deepEqual(summary, { lastMs: 3, medianMs: 2, worstMs: 9, answered: 4, failed: 1 });
  });
});
