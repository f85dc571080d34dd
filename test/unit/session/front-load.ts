import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';

/** An API that answers GET, POST, a stream of events and a tunnel of echoes. It ends in order: what is open is finished. */
export const FRONTED_API = `
  const server = require('node:http').createServer((request, response) => {
    if (request.url === '/stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let left = 15;
      const timer = setInterval(() => {
        if (left-- > 0) return response.write('data: ' + process.pid + '\\n\\n');
        clearInterval(timer);
        response.end('data: end\\n\\n');
      }, 20);
      return;
    }
    let body = '';
    request.on('data', chunk => (body += chunk));
    request.on('end', () => response.end(JSON.stringify({ status: 'ok', pid: process.pid, body })));
  });
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n');
    socket.on('data', data => {
      for (const line of String(data).split('\\n').filter(Boolean)) {
        socket.write(process.pid + ' ' + line + '\\n');
        if (line === 'end') socket.end();
      }
    });
  });
  process.on('SIGINT', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
  server.listen(Number(process.env.PORT), '127.0.0.1');
`;

/** An API whose `/slow` begins to answer and is done once a file `finish` is there. It does not wait for that when it is to end. */
export const SLOW_API = `
  const fs = require('node:fs');
  const server = require('node:http').createServer((request, response) => {
    if (request.url !== '/slow') return response.end(JSON.stringify({ status: 'ok', pid: process.pid }));
    response.write('begin ' + process.pid);
    const timer = setInterval(() => {
      if (!fs.existsSync('finish')) return;
      clearInterval(timer);
      response.end(' end');
    }, 20);
  });
  process.on('SIGINT', () => process.exit(0));
  server.listen(Number(process.env.PORT), '127.0.0.1');
`;

export interface LoadOptions {
  readonly port: number;
  /**
   * A server may close an idle connection at any moment (RFC 9112, 9.3.1), as nginx does with all of them when it takes
   * a new configuration. A client then sends an idempotent request once more, and none but those on a connection that
   * was idle before.
   */
  readonly closesIdle: boolean;
  /** So many of each kind at once; few where it is not said. */
  readonly clients?: Clients;
  /** Between two requests of a client. */
  readonly pauseMs?: number;
  /** How long each GET and POST took that was answered. */
  readonly onAnswered?: (ms: number) => void;
}

export type Clients = Readonly<Record<Kind, number>>;

type Kind = 'gets' | 'posts' | 'streams' | 'tunnels';

export interface Failure {
  readonly of: Kind;
  readonly what: string;
}

/** Small on purpose, as the pause is: there are others on this machine. */
const FEW: Clients = { gets: 2, posts: 1, streams: 1, tunnels: 1 };
const PAUSE_MS = 5;

/** Clients that ask without a pause until they are told to end, and what they saw. */
export class Load {
  answered = 0;
  posted = 0;
  streams = 0;
  tunnels = 0;
  /** GETs that were sent once more, because the connection had been closed while it was idle. */
  repeated = 0;
  readonly failures: Failure[] = [];
  readonly pids = new Set<number>();
  private readonly agent = new Agent({ keepAlive: true });
  private isOver = false;
  private sent = 0;
  private readonly clients: Promise<void>[];

  constructor(private readonly options: LoadOptions) {
    const { clients = FEW } = options;
    const all = (kind: Kind, run: () => Promise<void>): Promise<void>[] =>
      Array.from({ length: clients[kind] }, () => this.repeat(kind, run));
    this.clients = [
      ...all('gets', () => this.get()),
      ...all('posts', () => this.post(`body ${this.sent++}`)),
      ...all('streams', () => this.stream()),
      ...all('tunnels', () => this.tunnel()),
    ];
  }

  async end(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.clients);
    this.agent.destroy();
  }

  private async repeat(kind: Kind, run: () => Promise<void>): Promise<void> {
    const { pauseMs = PAUSE_MS } = this.options;
    while (!this.isOver) {
      await run().catch((error: unknown) => this.failures.push({ of: kind, what: String(error) }));
      if (pauseMs > 0) await new Promise(resolve => setTimeout(resolve, pauseMs));
    }
  }

  private async get(): Promise<void> {
    this.take(await this.timed(() => this.ask('GET', '/work')));
    this.answered++;
  }

  private async post(body: string): Promise<void> {
    const answer = this.take(await this.timed(() => this.ask('POST', '/work', body)));
    if (answer.body !== body) throw new Error(`POST came back with ${JSON.stringify(answer.body)}`);
    this.posted++;
  }

  private async stream(): Promise<void> {
    const text = await this.ask('GET', '/stream');
    const events = text.split('\n\n').filter(Boolean);
    if (events.length !== 16 || events.at(-1) !== 'data: end')
      throw new Error(`a stream ended after ${events.length} events`);
    if (new Set(events.slice(0, -1)).size !== 1) throw new Error('a stream came from two processes');
    this.streams++;
  }

  /** As a WebSocket: what is in the frames is nothing to a proxy. Every line is to come back, from one process. */
  private async tunnel(): Promise<void> {
    const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
    const sent = request({ host: '127.0.0.1', port: this.options.port, path: '/tunnel', agent: false, headers });
    sent.end();
    const socket = await new Promise<Duplex>((resolve, reject) => {
      sent.once('upgrade', (_response, socket) => resolve(socket));
      sent.once('response', ({ statusCode }) => reject(new Error(`the tunnel was refused: ${statusCode}`)));
      sent.once('error', error => reject(new Error(`the tunnel: ${error.message}`)));
    });
    const lines: string[] = [];
    const reading = (async () => {
      for await (const line of createInterface({ input: socket })) lines.push(line);
    })().catch((error: unknown) => {
      // Its process was killed, which is for whoever has done that to expect.
      throw new Error(`a tunnel: ${String(error)}`);
    });
    // It may break before it is waited for.
    reading.catch(() => undefined);
    socket.on('error', () => undefined);
    for (let left = 15; left > 0; left--) {
      socket.write('line\n');
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    socket.write('end\n');
    await reading;
    socket.destroy();
    const answers = lines.map(line => line.split(' '));
    if (answers.length !== 16 || answers.at(-1)![1] !== 'end')
      throw new Error(`a tunnel ended after ${lines.length} lines`);
    if (new Set(answers.map(([pid]) => pid)).size !== 1) throw new Error('a tunnel came from two processes');
    this.tunnels++;
  }

  private async timed(ask: () => Promise<string>): Promise<string> {
    const began = performance.now();
    const text = await ask();
    this.options.onAnswered?.(performance.now() - began);
    return text;
  }

  private take(text: string): { readonly pid: number; readonly body: string } {
    const answer = JSON.parse(text) as { pid: number; body: string };
    this.pids.add(answer.pid);
    return answer;
  }

  private ask(method: string, path: string, body?: string, isAgain = false): Promise<string> {
    const { port, closesIdle } = this.options;
    // Nobody may send a POST again: where idle connections are closed it has one of its own, as has a second try.
    const agent = isAgain || (closesIdle && method === 'POST') ? false : this.agent;
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, method, path, agent }, response => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('error', error => reject(new Error(`${method} ${path}, in its answer: ${error.message}`)));
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 200)}`));
        });
      });
      let isAnswered = false;
      sent.on('response', () => (isAnswered = true));
      sent.on('error', error => {
        const mayRepeat = closesIdle && method === 'GET' && sent.reusedSocket && !isAnswered && !isAgain;
        if (mayRepeat) {
          this.repeated++;
          this.ask(method, path, body, true).then(resolve, reject);
        } else reject(new Error(`${method} ${path}: ${error.message}`));
      });
      sent.end(body);
    });
  }
}
