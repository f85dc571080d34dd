import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { EmbeddedEngine } from '../../../src/proxy/embedded.ts';
import {
  DEFAULT_LIMITS,
  type ProxyEngine,
  type ProxyLimits,
  type ProxySnapshot,
  type Upstream,
} from '../../../src/proxy/engine.ts';
import { NginxEngine } from '../../../src/proxy/nginx.ts';
import { nginxVersion } from '../../../src/proxy/nginx-binary.ts';
import { descendants } from '../../../src/run/processes.ts';
import { nginxForTests } from '../../support/nginx.ts';

export interface RunningEngine {
  readonly engine: ProxyEngine;
  readonly port: number;
  /** Of nginx; empty for the embedded one, which is this project's. */
  readonly version: readonly number[];
  /** Ends it, and leaves nothing of it. */
  readonly stop: () => Promise<void>;
}

export interface EngineKind {
  readonly kind: ProxyEngine['kind'];
  /** Starts one, or says why there is none on this machine. */
  readonly start: (limits?: Partial<ProxyLimits>) => Promise<RunningEngine | { readonly missing: string }>;
}

/** All engines that the table of behaviours is run against. */
export const ENGINES: readonly EngineKind[] = [
  { kind: 'embedded', start: startEmbedded },
  { kind: 'nginx', start: startNginx },
];

export async function startEmbedded(
  limits: Partial<ProxyLimits> = {},
): Promise<RunningEngine & { readonly engine: EmbeddedEngine }> {
  const engine = new EmbeddedEngine({ limits });
  await engine.start({ host: '127.0.0.1', port: 0 });
  return { engine, port: engine.address.port, version: [], stop: () => engine.stop() };
}

export async function startNginx(
  limits: Partial<ProxyLimits> = {},
): Promise<RunningEngine | { readonly missing: string }> {
  const program = await nginxForTests();
  if (typeof program !== 'string') return program;
  const dir = await mkdtemp(join(tmpdir(), 'helix-nginx-'));
  const engine = new NginxEngine({
    program,
    dir,
    limits: { ...DEFAULT_LIMITS, ...limits },
    fallback: new EmbeddedEngine({ limits, isBehindNginx: true }),
    descendants,
    say: line => console.log(line),
    onLost: reason => console.error(reason),
  });
  const port = await getPort({ host: '127.0.0.1' });
  const stop = async (): Promise<void> => {
    await engine.stop();
    await rm(dir, { recursive: true, force: true });
  };
  await engine.start({ host: '127.0.0.1', port });
  return { engine, port, version: await nginxVersion(program), stop };
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
