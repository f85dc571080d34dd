import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { dashboardDocument } from '../dashboard/document.ts';
import { LOOPBACK } from '../model/defaults.ts';
import type { ToPage } from '../model/dashboard.ts';
import { DashboardFeed } from '../session/dashboard-feed.ts';
import type { Stack } from '../session/stack.ts';

const PROGRAM = 'page.js';
const STYLE = 'page.css';

const TYPES: Readonly<Record<string, string>> = {
  [PROGRAM]: 'text/javascript; charset=utf-8',
  [STYLE]: 'text/css; charset=utf-8',
};

/** Of every answer: nobody frames it, guesses at its type, keeps it, or is told its address, which holds the token. */
const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
} as const;

/**
 * Serves the dashboard on loopback to whoever knows its address, for looking only: a token that nobody can guess stands
 * in the path, and answers are given under our own host name alone, so that a page of another site that had its name
 * point to 127.0.0.1 gets none. A page that listens costs a feed; with nobody looking nothing runs.
 */
export class DashboardServer {
  private readonly token = randomBytes(24).toString('base64url');
  private readonly server: Server;

  private constructor(
    private readonly stack: Stack,
    /** Where the built page is. */
    private readonly folder: string,
  ) {
    this.server = createServer((request, response) => this.answer(request, response));
  }

  /** @param port 0 for any that is free */
  static async listen(stack: Stack, folder: string, port = 0): Promise<DashboardServer> {
    const made = new DashboardServer(stack, folder);
    made.server.listen(port, LOOPBACK);
    await once(made.server, 'listening');
    return made;
  }

  get url(): string {
    return `http://${LOOPBACK}:${this.port}/${this.token}/`;
  }

  dispose(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const file = this.fileOf(request);
    if (file === undefined) return refuse(response, 404);
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405);
    switch (file) {
      case '':
        return this.page(response);
      case 'events':
        return this.events(response);
      case PROGRAM:
      case STYLE:
        response.setHeader('content-type', TYPES[file]!);
        response.end(readFileSync(join(this.folder, file)));
        return;
      default:
        return refuse(response, 404);
    }
  }

  /** What is asked for; undefined for who does not know the token or calls us by another name. */
  private fileOf({ headers, url = '' }: IncomingMessage): string | undefined {
    if (headers.host !== `${LOOPBACK}:${this.port}` && headers.host !== `localhost:${this.port}`) return undefined;
    const [, token = '', file] = url.split('?')[0]!.split('/');
    const [given, right] = [Buffer.from(token), Buffer.from(this.token)];
    return given.length === right.length && timingSafeEqual(given, right) ? file : undefined;
  }

  private page(response: ServerResponse): void {
    const nonce = randomBytes(16).toString('base64');
    response.setHeader('content-type', 'text/html; charset=utf-8');
    // A policy in the page cannot say this.
    response.setHeader('content-security-policy', "frame-ancestors 'none'");
    response.end(dashboardDocument({ nonce, script: PROGRAM, style: STYLE, connect: "'self'" }));
  }

  private events(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const tell = (message: ToPage): void => void response.write(`data: ${JSON.stringify(message)}\n\n`);
    const feed = new DashboardFeed(this.stack, tell);
    response.on('close', () => feed.dispose());
    const { workspace } = this.stack.plan;
    feed.start({ key: workspace, workspace, canAct: false });
  }
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end();
}
