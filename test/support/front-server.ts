import { Agent, createServer, request as sendRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface FrontServer {
  readonly port: number;
  dispose(): Promise<void>;
}

/**
 * Stands before VS Code's server as code-server's own outer layer does, and answers the links which `asExternalUri`
 * makes there: `http://localhost:8023/docs` becomes `/proxy/8023/docs` at the workbench's own address (another address
 * will not do, VS Code would translate the link once more when it opens it). Since browser and services are on one
 * machine here, a redirect to the service does, and keeps absolute paths in its pages working.
 */
export async function startFrontServer(upstream: number): Promise<FrontServer> {
  const agent = new Agent({ keepAlive: true });
  const sockets = new Set<Duplex>();
  const server = createServer((request, response) => {
    const target = linkTarget(request.url ?? '');
    if (target) response.writeHead(307, { location: target }).end();
    else forward(request, response, upstream, agent);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    tunnel(request, socket, head, upstream);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    dispose: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of sockets) socket.destroy();
        agent.destroy();
      }),
  };
}

function linkTarget(url: string): string | undefined {
  const match = /^\/proxy\/(\d{1,5})(\/.*)?$/.exec(url);
  return match ? `http://127.0.0.1:${match[1]}${match[2] ?? '/'}` : undefined;
}

function forward(request: IncomingMessage, response: ServerResponse, port: number, agent: Agent): void {
  const { method, url, headers } = request;
  const options = { host: '127.0.0.1', port, agent, method, path: url, headers };
  const onward = sendRequest(options, answer => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  });
  response.once('close', () => onward.destroy());
  request.pipe(onward);
}

function tunnel(request: IncomingMessage, client: Duplex, head: Buffer, port: number): void {
  const server: Socket = connect(port, '127.0.0.1', () => {
    const pairs = Array.from({ length: request.rawHeaders.length / 2 }, (_, i) =>
      request.rawHeaders.slice(2 * i, 2 * i + 2),
    );
    const lines = [`${request.method} ${request.url} HTTP/1.1`, ...pairs.map(pair => pair.join(': '))];
    server.write(`${lines.join('\r\n')}\r\n\r\n`);
    server.write(head);
    server.pipe(client).pipe(server);
  });
  server.setNoDelay(true);
  server.on('error', () => client.destroy());
  client.on('error', () => server.destroy());
  client.once('close', () => server.destroy());
  server.once('close', () => client.destroy());
}
