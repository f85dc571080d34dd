import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import type { PortDiscoveryOptions } from '../../src/browser/contract.ts';
import { type Endpoint, HEALTH_PATH } from '../../src/model/endpoints.ts';
import type { Band } from '../../src/model/port.ts';
import { EmbeddedEngine } from '../../src/proxy/embedded.ts';
import { freeBands } from '../bench/bands.ts';
import { launchBrowser } from '../support/browser.ts';
import { repoRoot } from '../support/paths.ts';

const HOST = '127.0.0.1';
const SCRIPT = join(repoRoot, 'media', 'port-discovery.js');

/** An API as HELIX's, which also says who it is and what it was asked. */
export interface ApiOptions {
  readonly name: string;
  /** Exact origins; `null` is what a page from a file has. */
  readonly origins?: readonly string[];
  /** Repeated in its health, which HELIX v2.0 does not do. */
  readonly workspace?: string;
}

export interface ProxyOptions {
  readonly workspace: string;
  readonly api: number;
  readonly origins?: readonly string[];
  /** Further services, such as a development server, by id. */
  readonly services?: Readonly<Record<string, number>>;
}

/** A machine of our own: a Chromium, bands that nobody else uses, and listeners of every kind on them. */
export class Lab {
  private readonly proxies = new Map<number, EmbeddedEngine>();
  private readonly listeners = new Map<number, () => Promise<void>>();
  private readonly folders: string[] = [];

  private constructor(
    readonly browser: Browser,
    readonly band: Band,
    readonly proxyBand: Band,
  ) {}

  static async create(): Promise<Lab> {
    const [band, proxyBand] = (await freeBands(2)) as [Band, Band];
    return new Lab(await launchBrowser(), band, proxyBand);
  }

  /** The stable proxy lies in the API's band, as 8080 does. */
  get proxyPort(): number {
    return this.band.from + 80;
  }

  /** Where pages look. Patient, because the machine may be busy. */
  get options(): PortDiscoveryOptions {
    const { band, proxyBand, proxyPort } = this;
    return { band, proxyBand, proxyPort, portTimeoutMs: 20_000, totalTimeoutMs: 60_000, queueMs: 120_000 };
  }

  async api(port: number, options: ApiOptions): Promise<void> {
    await this.serve(port, (request, response) => answerAsApi(options, request, response));
  }

  /** The embedded proxy itself. Its services change with another call for the same port. */
  async proxy(port: number, { workspace, api, origins = [], services = {} }: ProxyOptions): Promise<void> {
    let engine = this.proxies.get(port);
    if (!engine) {
      engine = new EmbeddedEngine();
      await engine.start({ host: HOST, port });
      this.proxies.set(port, engine);
      this.listeners.set(port, async () => {
        await this.proxies.get(port)?.stop();
        this.proxies.delete(port);
      });
    }
    const endpoints = Object.entries({ api, ...services }).map(([id, port]): Endpoint => ({
      id,
      label: id,
      state: 'healthy',
      port,
    }));
    await engine.update({
      workspace,
      upstreams: [{ key: `api#${api}`, host: HOST, port: api, draining: false }],
      endpoints,
      origins,
    });
  }

  /** Accepts connections and never says a word. */
  async hang(port: number): Promise<void> {
    await this.listen(port, createTcpServer());
  }

  /** A page of its own origin, with the script beside it; its port. */
  site(): Promise<number> {
    return this.serve(0, sendPage);
  }

  /** A page in `frontend/` of a workspace's folder, with the script beside it. */
  async file(): Promise<{ readonly workspace: string; readonly url: string }> {
    const workspace = await realpath(await mkdtemp(join(tmpdir(), 'helix-page-')));
    this.folders.push(workspace);
    const html = join(workspace, 'frontend', 'index.html');
    await mkdir(dirname(html));
    await writeFile(html, PAGE);
    await copyFile(SCRIPT, join(dirname(html), 'port-discovery.js'));
    return { workspace, url: `file://${html}` };
  }

  async open(url: string): Promise<Page> {
    const context = await this.browser.newContext();
    const page = await context.newPage();
    await page.goto(url);
    return page;
  }

  /** Ends what listens on the port, with all its connections. */
  async end(port: number): Promise<void> {
    const end = this.listeners.get(port);
    this.listeners.delete(port);
    await end?.();
  }

  /** Ends all listeners of the bands; sites stay. */
  async clear(): Promise<void> {
    for (const port of [...this.listeners.keys()]) {
      if ([this.band, this.proxyBand].some(({ from, to }) => port >= from && port <= to)) await this.end(port);
    }
  }

  async dispose(): Promise<void> {
    await this.browser.close();
    for (const port of [...this.listeners.keys()]) await this.end(port);
    for (const folder of this.folders) await rm(folder, { recursive: true, force: true });
  }

  private serve(
    port: number,
    handle: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
  ): Promise<number> {
    return this.listen(
      port,
      createServer((request, response) => void handle(request, response)),
    );
  }

  private async listen(port: number, server: Server): Promise<number> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      // Read on, so that the end of the other side is noticed.
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    });
    server.listen(port, HOST);
    await once(server, 'listening');
    const actual = (server.address() as { port: number }).port;
    this.listeners.set(actual, async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
    return actual;
  }
}

const PAGE = '<!doctype html><title>page</title><script src="port-discovery.js"></script>';

/** The front end, which HELIX's API serves itself. */
async function sendPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const isScript = request.url === '/port-discovery.js';
  response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
  response.end(isScript ? await readFile(SCRIPT) : PAGE);
}

function answerAsApi(
  { name, origins = [], workspace }: ApiOptions,
  request: IncomingMessage,
  response: ServerResponse,
): void | Promise<void> {
  allow(origins, request, response);
  if (request.url === '/' || request.url === '/port-discovery.js') return sendPage(request, response);
  if (request.method === 'OPTIONS') return sendJson(response, 200, {});
  if (request.url !== HEALTH_PATH) return sendJson(response, 200, { name, method: request.method, path: request.url });
  sendJson(response, 200, {
    status: 'healthy',
    timestamp: new Date().toISOString(),
    components: { database: 'healthy', api: 'healthy' },
    ...(workspace && { workspace }),
  });
}

function allow(origins: readonly string[], request: IncomingMessage, response: ServerResponse): void {
  const { origin } = request.headers;
  if (origin === undefined || !origins.includes(origin)) return;
  response.setHeader('Access-Control-Allow-Origin', origin);
  response.setHeader('Access-Control-Allow-Headers', 'content-type');
  response.setHeader('Access-Control-Allow-Methods', 'GET, POST, DELETE');
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}
