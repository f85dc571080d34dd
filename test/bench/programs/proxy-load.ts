import { connect } from 'node:net';

/*
 * `proxy-load PORT PATH CONNECTIONS WARM LIMIT`: kept connections that each ask again as soon as they are answered. The
 * first WARM ms are not counted; it ends after LIMIT: `3000ms`, or `100000` requests. Prints its figures as JSON. Plain
 * sockets, so that the load costs less than what it measures.
 */
export interface LoadFigures {
  readonly requests: number;
  readonly ms: number;
  readonly p50: number;
  readonly p99: number;
  /** Connections that ended, and answers that were not 200. */
  readonly errors: number;
}

const [port, path, connections, warm, limit] = process.argv.slice(2);
const request = Buffer.from(
  `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\r\n`,
);
const times: number[] = [];
let requests = 0;
let errors = 0;
let began = 0;

function run(): void {
  const socket = connect(Number(port), '127.0.0.1');
  socket.setNoDelay(true);
  let asked = 0;
  let head = '';
  let missing = -1;
  const ask = (): void => {
    asked = performance.now();
    head = '';
    missing = -1;
    socket.write(request);
  };
  socket.on('connect', ask);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    errors++;
    run();
  });
  socket.on('data', chunk => {
    if (missing >= 0) missing -= chunk.length;
    else {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      missing = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0) - (head.length - end - 4);
      if (!head.startsWith('HTTP/1.1 200 ')) errors++;
    }
    if (missing > 0) return;
    if (began > 0) answered(performance.now() - asked);
    ask();
  });
}

function answered(ms: number): void {
  requests++;
  // Enough for quantiles, and no growing memory over a million.
  if (times.length < 500_000) times.push(ms);
  if (!limit!.endsWith('ms') && requests >= Number(limit)) finish();
}

function finish(): void {
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.floor((times.length - 1) * part)] ?? NaN;
  const figures: LoadFigures = { requests, ms: performance.now() - began, p50: at(0.5), p99: at(0.99), errors };
  process.stdout.write(JSON.stringify(figures), () => process.exit());
}

for (let i = 0; i < Number(connections); i++) run();
setTimeout(() => {
  began = performance.now();
  if (limit!.endsWith('ms')) setTimeout(finish, parseInt(limit!, 10));
}, Number(warm));
