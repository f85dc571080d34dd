import { EmbeddedEngine } from '../../../src/proxy/embedded.ts';
import type { ProxyEngine, ProxyLimits, ProxySnapshot, Upstream } from '../../../src/proxy/engine.ts';

export interface RunningEngine {
  readonly engine: ProxyEngine;
  readonly port: number;
}

export interface EngineKind {
  readonly kind: ProxyEngine['kind'];
  /** Starts one, or says why there is none on this machine. */
  readonly start: (limits?: Partial<ProxyLimits>) => Promise<RunningEngine | { readonly missing: string }>;
}

/** All engines that the table of behaviours is run against. */
export const ENGINES: readonly EngineKind[] = [{ kind: 'embedded', start: startEmbedded }];

export async function startEmbedded(
  limits: Partial<ProxyLimits> = {},
): Promise<RunningEngine & { readonly engine: EmbeddedEngine }> {
  const engine = new EmbeddedEngine({ limits });
  await engine.start({ host: '127.0.0.1', port: 0 });
  return { engine, port: engine.address.port };
}

export const ORIGIN = 'http://localhost:5173';

export const upstreamAt = (port: number, key = `api#${port}`): Upstream => ({
  key,
  host: '127.0.0.1',
  port,
  draining: false,
});

export function snapshotOf(...upstreams: Upstream[]): ProxySnapshot {
  return {
    workspace: 'a1b2c3d4e5f6',
    upstreams,
    endpoints: [{ id: 'api', label: 'API', state: 'healthy', port: upstreams[0]?.port ?? 1 }],
    origins: [ORIGIN],
    hosts: ['helix.test'],
  };
}
