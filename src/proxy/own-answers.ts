import type { IncomingMessage, ServerResponse } from 'node:http';
import { ENDPOINTS_PATH } from '../model/endpoints.ts';
import { isLoopback } from './addresses.ts';
import { type Answer, answer, answerProblem } from './answer.ts';
import type { ProxySnapshot } from './engine.ts';
import type { Front } from './front.ts';
import type { UpstreamFigures } from './metrics.ts';
import { badMethod, notLoopback, unknownPath } from './problems.ts';
import type { PooledUpstream } from './upstream-pool.ts';

/** The proxy's own health. HELIX's is `/api/v1/health`, which goes to the API like everything else. */
const HEALTH = '/health';
const OWN = '/__helix/';
const METRICS = '/__helix/metrics';

export const isOwnPath = (path: string): boolean =>
  path === HEALTH || path.startsWith(OWN) || path.startsWith(`${HEALTH}?`);

export interface OwnFigures {
  readonly connections: number;
  readonly tunnels: number;
}

/** Answers what is asked of the proxy itself. */
export class OwnAnswers {
  constructor(
    private readonly front: Front,
    private readonly snapshot: ProxySnapshot,
    private readonly figures: () => OwnFigures,
  ) {}

  handle(request: IncomingMessage, response: ServerResponse, path: string): void {
    const { cors } = this.front;
    const { method = '' } = request;
    if (method !== 'GET' && method !== 'HEAD') return answerProblem(request, response, cors, badMethod(method));
    const name = path.split('?', 1)[0]!;
    if (name === HEALTH) return answer(request, response, cors, json(this.health()));
    if (!isLocalCaller(request)) return answerProblem(request, response, cors, notLoopback);
    if (name === ENDPOINTS_PATH) return answer(request, response, cors, json(this.endpoints()));
    if (name === METRICS) return answer(request, response, cors, this.metrics());
    answerProblem(request, response, cors, unknownPath);
  }

  private health(): unknown {
    const { held } = this.front;
    const upstreams = this.upstreams();
    const up = upstreams.filter(one => one.state === 'up').length;
    return {
      status: 'healthy',
      service: 'helix-proxy',
      ready: up > 0,
      upstreams: { up, all: upstreams.length },
      held: held.size,
    };
  }

  private endpoints(): unknown {
    const { workspace, endpoints } = this.snapshot;
    return { workspace, services: endpoints };
  }

  private metrics(): Answer {
    const { held, metrics } = this.front;
    const text = metrics.text({
      ...this.figures(),
      held: held.size,
      heldBytes: held.bytes,
      upstreams: this.upstreams(),
    });
    return {
      status: 200,
      type: 'text/plain; version=0.0.4; charset=utf-8',
      body: text + (this.snapshot.metrics?.() ?? ''),
    };
  }

  private upstreams(): UpstreamFigures[] {
    return this.front.pool.all.map(one => ({
      key: one.upstream.key,
      state: stateOf(one),
      inFlight: one.inFlight.size,
    }));
  }
}

const stateOf = (one: PooledUpstream): UpstreamFigures['state'] =>
  one.draining ? 'draining' : one.outFor ? 'out' : 'up';

const json = (value: unknown): Answer => ({
  status: 200,
  type: 'application/json',
  body: `${JSON.stringify(value)}\n`,
});

/** On this machine, and not merely through a proxy that is. */
function isLocalCaller({ socket, headers }: IncomingMessage): boolean {
  const before = headers['x-forwarded-for'];
  const callers = typeof before === 'string' ? before.split(',').map(one => one.trim()) : [];
  return isLoopback(socket.remoteAddress) && callers.every(isLoopback);
}
