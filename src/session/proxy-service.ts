import type { Plan, PlannedService } from '../model/plan.ts';
import type { RunSpec } from '../model/service.ts';
import { NO_EXTRA_CERTIFICATES } from '../run/certificates.ts';
import { writeProxySettings } from './proxy-settings.ts';
import { fillSpec } from './spec.ts';

/**
 * Writes what the proxy is to be like. A proxy that runs follows at once, engine and all.
 * @throws {UserError} when the engine that is wanted is not installed
 */
export async function tellProxy(plan: Plan, dir: string): Promise<void> {
  const { proxy } = plan;
  if (proxy.engine === 'embedded') return writeProxySettings(dir, plan);
  const { findNginx } = await import('../proxy/nginx-binary.ts');
  // Found here, by the PATH of whoever asks: that of the proxy's process may be an old one.
  const nginxPath = await findNginx(proxy.nginxPath, plan.environment);
  await writeProxySettings(dir, { ...plan, proxy: { ...proxy, nginxPath } });
}

/**
 * The spec of the workspace's proxy. Its port stands in the command; all else that it is told stands in a file, which
 * is written here, so that it can change while the proxy runs.
 * @throws {UserError} when the engine that is wanted is not installed
 */
export async function proxySpec(service: PlannedService, plan: Plan, dir: string, program: string): Promise<RunSpec> {
  await tellProxy(plan, dir);
  const spec = fillSpec(service, { workspace: plan.workspace, services: [] }, plan.environment);
  const env = { ...spec.env, ...NO_EXTRA_CERTIFICATES };
  return { ...spec, env, command: ['${node}', program, '--dir', dir, '--host', service.host, '--port', '${port}'] };
}
