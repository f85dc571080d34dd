import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** Generous: a loaded machine is slow, and a test that waits in vain fails anyway. */
const LIMIT_MS = 15_000;

/** An HTTP message as it went over the wire. */
export interface Message {
  /** The request or status line. */
  readonly start: string;
  /** In order, with case and repetition. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: string;
}

export const field = (message: Message, name: string): string | undefined => {
  const values = message.fields.filter(([one]) => one.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  return values.length ? values.join(', ') : undefined;
};

export const status = (message: Message): number => Number(message.start.split(' ')[1]);

/** One TCP connection, bytes in and bytes out (latin1), without any HTTP library between. */
export class Wire {
  private buffer = '';
  private ended: 'end' | 'reset' | undefined;
  private wake: () => void = () => undefined;

  constructor(
    readonly socket: Socket,
    private readonly onData: () => void = () => undefined,
  ) {
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.buffer += text;
      this.wake();
      this.onData();
    });
    socket.on('end', () => this.finish('end'));
    socket.on('error', () => this.finish('reset'));
    socket.on('close', () => this.finish('end'));
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return new Wire(socket);
  }

  /** What came and was not taken yet. */
  get rest(): string {
    return this.buffer;
  }

  /** Whether the other side has ended it. */
  get isOver(): boolean {
    return this.ended !== undefined;
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }

  /** Everything up to and including `text`; rejects where the connection ends before it. */
  async until(text: string): Promise<string> {
    await this.wait(() => this.buffer.includes(text), JSON.stringify(text));
    const end = this.buffer.indexOf(text) + text.length;
    return this.take(end);
  }

  /** How the other side ended the connection; what came before is in `rest`. */
  async closed(): Promise<'end' | 'reset'> {
    await this.wait(() => this.ended !== undefined, 'the end');
    return this.ended!;
  }

  /** Until anything has come, be it the end. */
  async heard(): Promise<void> {
    await this.wait(() => this.buffer !== '' || this.ended !== undefined, 'anything');
  }

  async head(): Promise<Message> {
    const [start = '', ...lines] = (await this.until('\r\n\r\n')).trimEnd().split('\r\n');
    const fields = lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    return { start, fields, body: '', trailers: '' };
  }

  /** A whole message by its framing; `bodiless` for the answer to a HEAD. */
  async message(bodiless: 'bodiless' | 'whole' = 'whole'): Promise<Message> {
    const head = await this.head();
    const length = field(head, 'content-length');
    if (bodiless === 'bodiless' || isBodiless(head)) return head;
    if (field(head, 'transfer-encoding')) return { ...head, ...(await this.chunks()) };
    if (length !== undefined) return { ...head, body: await this.bytes(Number(length)) };
    if (!head.start.startsWith('HTTP/')) return head;
    await this.closed();
    return { ...head, body: this.take(this.buffer.length) };
  }

  async bytes(count: number): Promise<string> {
    await this.wait(() => this.buffer.length >= count, `${count} bytes`);
    return this.take(count);
  }

  private async chunks(): Promise<Pick<Message, 'body' | 'trailers'>> {
    let body = '';
    for (;;) {
      const size = parseInt(await this.until('\r\n'), 16);
      if (size === 0) break;
      body += await this.bytes(size);
      await this.bytes(2);
    }
    let trailers = '';
    for (let line = await this.until('\r\n'); line !== '\r\n'; line = await this.until('\r\n')) trailers += line;
    return { body, trailers };
  }

  private take(count: number): string {
    const text = this.buffer.slice(0, count);
    this.buffer = this.buffer.slice(count);
    return text;
  }

  private finish(how: 'end' | 'reset'): void {
    this.ended ??= how;
    this.wake();
  }

  private async wait(isThere: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + LIMIT_MS;
    while (!isThere()) {
      const left = deadline - Date.now();
      if (left <= 0 || this.ended) {
        throw new Error(
          `${this.ended ?? 'silence'} before ${what}; there is ${JSON.stringify(this.buffer.slice(0, 500))}`,
        );
      }
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

const isBodiless = ({ start }: Message): boolean => /^HTTP\/1\.\d (1\d\d|204|304)/.test(start);

/** An upstream that says byte for byte what a test wants it to say. */
export class RawUpstream {
  private readonly wires: Wire[] = [];
  private accepted = 0;
  private isClosed = false;
  private wake: () => void = () => undefined;

  private constructor(private readonly server: Server) {
    server.on('connection', socket => {
      this.wires.push(new Wire(socket, () => this.wake()));
      this.wake();
    });
  }

  static async listen(port = 0): Promise<RawUpstream> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new RawUpstream(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** How many the proxy has made. */
  get connections(): number {
    return this.wires.length;
  }

  /** Whether a request that begins so has come and was not taken yet. */
  has(start: string): boolean {
    return this.wires.some(one => one.rest.startsWith(start));
  }

  /** The next connection that the proxy makes. */
  async accept(): Promise<Wire> {
    const index = this.accepted++;
    return this.find('no further connection', () => this.wires[index]);
  }

  /** Takes one request, on whichever connection it comes, and answers it. */
  async answer(text: string): Promise<{ wire: Wire; request: Message }> {
    const wire = await this.find('no request', () => this.wires.find(one => one.rest !== ''));
    this.accepted = Math.max(this.accepted, this.wires.indexOf(wire) + 1);
    const request = await wire.message();
    wire.send(text);
    return { wire, request };
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.wake();
    for (const wire of this.wires) wire.close();
    await new Promise(resolve => this.server.close(resolve));
  }

  private async find(otherwise: string, look: () => Wire | undefined): Promise<Wire> {
    const deadline = Date.now() + LIMIT_MS;
    for (let found = look(); ; found = look()) {
      if (found) return found;
      const left = deadline - Date.now();
      if (left <= 0 || this.isClosed) throw new Error(`The proxy made ${otherwise}.`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
