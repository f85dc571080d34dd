import assert from 'node:assert/strict';
import { type InFlight, InFlightList } from '../../../src/proxy/in-flight.ts';

const request = (): InFlight => ({ place: -1, cut: () => undefined });

describe('what is in flight at an upstream', () => {
  const four = (): { list: InFlightList; requests: InFlight[] } => {
    const list = new InFlightList();
    const requests = Array.from({ length: 4 }, request);
    for (const one of requests) list.add(one);
    return { list, requests };
  };

  it('is forgotten in whatever order it ends', () => {
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [1, 3, 0, 2],
      [2, 0, 3, 1],
    ]) {
      const { list, requests } = four();
      const left = new Set(requests);
      for (const index of order) {
        list.delete(requests[index]!);
        left.delete(requests[index]!);
        assert.deepEqual(new Set(list.snapshot()), left);
        assert.equal(list.size, left.size);
      }
    }
  });

  it('does not lose another by what has ended already or is elsewhere', () => {
    const { list, requests } = four();
    list.delete(requests[1]!);
    list.delete(requests[1]!);
    list.delete(request());
    const elsewhere = four();
    list.delete(elsewhere.requests[0]!);
    assert.deepEqual(new Set(list.snapshot()), new Set([requests[0], requests[2], requests[3]]));
  });
});
