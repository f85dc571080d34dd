import { strict as assert } from 'node:assert';
import { type ServiceSnapshot, type ServiceState, stoppedSnapshot, toServiceId } from '../../../src/model/service.ts';
import { factsOf, formatDuration, groupText, lookOf, portText, stateText } from '../../../src/model/wording.ts';

const NOW = 1_000_000;

function service(state: ServiceState, changes: Partial<ServiceSnapshot> = {}): ServiceSnapshot {
  return { ...stoppedSnapshot({ id: toServiceId('api'), label: 'API', host: '127.0.0.1' }), state, ...changes };
}

describe('wording', () => {
  it('sums up a service and its replicas', () => {
    const [healthy, starting] = [service({ kind: 'healthy', since: 1 }), service({ kind: 'starting', since: 1 })];
    assert.equal(groupText([healthy]), '');
    assert.equal(groupText([healthy, healthy, healthy]), '3 healthy');
    assert.equal(groupText([starting, healthy, healthy]), '1 starting, 2 healthy');
  });

  const states: [ServiceState, text: string, icon: string, color: string | undefined, port: string][] = [
    [{ kind: 'stopped' }, 'stopped', 'circle-outline', undefined, ''],
    [{ kind: 'starting', since: 1 }, 'starting', 'sync~spin', undefined, ':8023'],
    [{ kind: 'healthy', since: 1 }, 'healthy', 'pass-filled', 'testing.iconPassed', ':8023'],
    [
      { kind: 'unhealthy', since: 1, reason: 'answers 503' },
      'unhealthy: answers 503',
      'warning',
      'list.warningForeground',
      ':8023',
    ],
    [{ kind: 'stopping' }, 'stopping', 'sync~spin', undefined, ':8023'],
    [
      { kind: 'backingOff', retryAt: NOW + 1500, reason: 'exited with code 1' },
      'exited with code 1; restart in 1 s',
      'history',
      'list.warningForeground',
      ':8023',
    ],
    [
      { kind: 'backingOff', retryAt: NOW - 1, reason: 'hung' },
      'hung; restart in 0 ms',
      'history',
      'list.warningForeground',
      ':8023',
    ],
    [
      { kind: 'failed', problem: { message: 'No port.', lastLines: [] } },
      'failed: No port.',
      'error',
      'list.errorForeground',
      '',
    ],
  ];
  for (const [state, text, icon, color, port] of states) {
    it(`of a service that is ${text}`, () => {
      const one = service(state, { port: 8023 });
      const look = lookOf(one);
      assert.deepEqual([stateText(one, NOW), look.icon, look.color, portText(one)], [text, icon, color, port]);
    });
  }

  it('says of a healthy service that it is not ours', () => {
    const one = service({ kind: 'healthy', since: 1 }, { external: true });
    assert.equal(stateText(one, NOW), 'healthy (was running before, not ours)');
  });

  it('has no port where there is none', () => assert.equal(portText(service({ kind: 'healthy', since: 1 })), ''));

  const durations: [ms: number, text: string][] = [
    [0, '0 ms'],
    [849.6, '850 ms'],
    [999, '999 ms'],
    [1_000, '1 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [185_000, '3 min 5 s'],
    [3_599_999, '59 min 59 s'],
    [3_600_000, '1 h'],
    [7_620_000, '2 h 7 min'],
    [86_400_000, '1 d'],
    [349_200_000, '4 d 1 h'],
  ];
  for (const [ms, text] of durations) it(`of ${ms} ms is ${text}`, () => assert.equal(formatDuration(ms), text));

  describe('of facts', () => {
    const facts = (changes: Partial<ServiceSnapshot>, state: ServiceState = { kind: 'stopped' }): string[] =>
      factsOf(service(state, changes), NOW).map(({ name, value }) => `${name} ${value}`);

    it('is short where there is little to say', () => assert.deepEqual(facts({}), ['restarts 0']));

    it('tells all that is known, in one order', () => {
      const startedAt = NOW - 5_000;
      assert.deepEqual(
        facts({
          note: '8023 was taken',
          lastExit: { code: null, signal: 'SIGKILL', at: NOW - 61_000 },
          restarts: 2,
          startedAt,
          pid: 7,
          url: 'http://127.0.0.1:8023',
        }),
        [
          'url http://127.0.0.1:8023',
          'pid 7',
          `uptime 5 s (since ${new Date(startedAt).toLocaleTimeString()})`,
          'restarts 2',
          'lastExit signal SIGKILL, 1 min 1 s ago',
          'note 8023 was taken',
        ],
      );
    });

    it('begins with what went wrong', () => {
      const state = { kind: 'failed', problem: { message: 'Command not found', lastLines: ['x'] } } as const;
      assert.deepEqual(facts({}, state), ['problem Command not found', 'restarts 0']);
    });

    it('tells an exit by its code, known or not', () => {
      const exit = (code: number | null): string[] => facts({ lastExit: { code, signal: null, at: NOW } });
      assert.ok(exit(3).includes('lastExit code 3, 0 ms ago'));
      assert.ok(exit(null).includes('lastExit code unknown, 0 ms ago'));
    });
  });
});
