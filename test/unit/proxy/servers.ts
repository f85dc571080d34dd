import {
  createServer,
  request as httpRequest,
  type Agent,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A real HTTP server as an upstream. */
export class TestServer {
  private constructor(readonly server: Server) {}

  static async listen(handle: RequestListener, port = 0): Promise<TestServer> {
    const server = createServer(handle);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new TestServer(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** At once, with all that is open. */
  async close(): Promise<void> {
    this.server.closeAllConnections();
    if (this.server.listening) await new Promise(resolve => this.server.close(resolve));
  }
}

export interface Ask {
  readonly port: number;
  readonly path?: string;
  readonly method?: string;
  readonly body?: string;
  readonly agent?: Agent;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** One request through Node's own client; rejects where the connection fails or the answer is not whole. */
export async function ask({ port, path = '/', method = 'GET', body, agent, headers }: Ask): Promise<Reply> {
  // Node frames no body of a DELETE by itself.
  const length = body ? { 'Content-Length': String(Buffer.byteLength(body)) } : {};
  const request = httpRequest({
    host: '127.0.0.1',
    port,
    path,
    method,
    agent: agent ?? false,
    headers: { ...length, ...headers },
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
}
