import { Agent, createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createProxyServer } from 'http-proxy-3';
import { createProxyServer as createHttpxy } from 'httpxy';
import { EmbeddedEngine } from '../../../src/proxy/embedded.ts';

/** `proxy-contender NAME PORT`: one of the proxies before 127.0.0.1:PORT, with kept connections. Prints its own port. */
async function main([name, port]: string[]): Promise<void> {
  const target = `http://127.0.0.1:${port}`;
  const agent = new Agent({ keepAlive: true });
  if (name === 'httpxy') {
    const proxy = createHttpxy({ target, agent, xfwd: true });
    serve((request, response) => void proxy.web(request, response).catch(() => response.destroy()));
  } else if (name === 'http-proxy-3') {
    const proxy = createProxyServer({ target, agent, xfwd: true });
    proxy.on('error', (_error, _request, response) => void response.destroy());
    serve((request, response) => proxy.web(request, response));
  } else {
    const engine = new EmbeddedEngine();
    await engine.start({ host: '127.0.0.1', port: 0 });
    const upstream = { key: 'api#1', host: '127.0.0.1', port: Number(port), draining: false };
    await engine.update({ workspace: 'bench', upstreams: [upstream], endpoints: [], origins: [] });
    console.log(engine.address.port);
  }
}

function serve(handle: RequestListener): void {
  const server = createServer(handle);
  server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
}

void main(process.argv.slice(2));
