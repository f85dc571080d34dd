import { parseArgs } from 'node:util';
import { messageOf, UserError } from './base/errors.ts';
import { isPort } from './model/port.ts';
import { DEFAULT_LIMITS, type ProxyEngine } from './proxy/engine.ts';
import { descendants } from './run/processes.ts';
import { ProxyHost } from './session/proxy-host.ts';
import type { ProxySettings } from './session/proxy-settings.ts';

/**
 * The proxy of one workspace, as a service like the others: `proxy --dir DIR --host HOST --port PORT`. It follows the
 * supervisors of DIR and needs no editor. It has no state: killed and started again it is what it was.
 *
 * Exit codes: 0 ended in order, 1 it could not run and said why, 2 wrong arguments, 70 a defect of ours.
 */
const say = (line: string): void => console.log(`proxy: ${line}`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { dir: { type: 'string' }, host: { type: 'string' }, port: { type: 'string' } },
  });
  const { dir, host } = values;
  const port = Number(values.port);
  if (!dir || !host || !isPort(port)) {
    console.error('usage: proxy --dir DIR --host HOST --port PORT');
    process.exit(2);
  }
  const makeEngine = (settings: ProxySettings): Promise<ProxyEngine> => engineOf(settings, dir);
  const proxy = new ProxyHost({ dir, listen: { host, port }, makeEngine, say });
  const end = async (code: number): Promise<void> => {
    await proxy.stop().catch((error: unknown) => console.error(messageOf(error)));
    process.exit(code);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void end(0));
  await proxy.start();
}

/** Loaded when it is wanted: either is of no use to the other. */
async function engineOf(settings: ProxySettings, dir: string): Promise<ProxyEngine> {
  const { EmbeddedEngine } = await import('./proxy/embedded.ts');
  if (settings.engine === 'embedded') return new EmbeddedEngine();
  const { NginxEngine } = await import('./proxy/nginx.ts');
  const { findNginx } = await import('./proxy/nginx-binary.ts');
  return new NginxEngine({
    program: await findNginx(settings.nginxPath),
    dir,
    limits: DEFAULT_LIMITS,
    fallback: new EmbeddedEngine({ isBehindNginx: true }),
    descendants,
    say,
    onLost: reason => explain(new UserError(reason)),
  });
}

function explain(error: unknown): never {
  if (error instanceof UserError) {
    console.error(error.message);
    process.exit(1);
  }
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exit(70);
}

process.on('uncaughtException', explain);
process.on('unhandledRejection', explain);
void main().catch(explain);
