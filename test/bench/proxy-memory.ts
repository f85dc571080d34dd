import { request as httpRequest, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { Bench, BenchOptions } from './bench.ts';
import { table } from './figures.ts';
import { CORES, nodeProgram, putLoad, residentBytes, startServer } from './proxy-processes.ts';

const REQUESTS = 1_000_000;
const SLICES = 10;
const UPLOAD_BYTES = 1 << 30;

export const proxyMemory: Bench = {
  name: 'proxy-memory',
  title: 'Memory of the embedded proxy over a million requests and an upload of 1 GB',
  method: `One process of the embedded engine before a backend on \`node:http\`; ${REQUESTS.toLocaleString('en')} requests of 200 B on 32 kept
connections, in ${SLICES} parts with new connections each, and the resident set after each part. Then one chunked upload of 1 GB, the
resident set looked at every 100 ms.`,
  run: measure,
};

async function measure({ scope, say, quick }: BenchOptions): Promise<string> {
  const slice = (quick ? REQUESTS / 20 : REQUESTS) / SLICES;
  const backend = await startServer(scope, CORES.others, nodeProgram('proxy-backend'));
  const { child, port } = await startServer(
    scope,
    CORES.proxy,
    nodeProgram('proxy-contender', 'embedded', String(backend.port)),
  );
  const megabytes = async (): Promise<number> => Math.round((await residentBytes(child.pid!)) / 2 ** 20);
  const rows = [['0', String(await megabytes()), '']];
  let errors = 0;
  for (let done = 1; done <= SLICES; done++) {
    const load = await putLoad(scope, { port, path: '/200', connections: 32, warmMs: 1, limit: String(slice) });
    errors += load.errors;
    rows.push([(done * slice).toLocaleString('en'), String(await megabytes()), String(errors)]);
    say(`${rows.at(-1)!.join(', ')}`);
  }
  const bytes = quick ? UPLOAD_BYTES / 16 : UPLOAD_BYTES;
  say(`an upload of ${bytes} bytes`);
  const before = await megabytes();
  let peak = before;
  const looking = setInterval(() => void megabytes().then(now => (peak = Math.max(peak, now))), 100);
  const received = await upload(port, bytes).finally(() => clearInterval(looking));
  return [
    table(['requests', 'MB resident', 'errors'], rows),
    `The upload: ${received} of ${bytes} bytes arrived, resident before ${before} MB, at most ${peak} MB.`,
  ].join('\n\n');
}

/** Sends so many bytes, chunked, at the proxy's pace; answers how many the backend got. */
async function upload(port: number, bytes: number): Promise<number> {
  const request = httpRequest({ host: '127.0.0.1', port, method: 'PUT', path: '/upload', agent: false });
  const chunk = Buffer.alloc(1 << 18, 'x');
  for (let sent = 0; sent < bytes; sent += chunk.length) {
    if (!request.write(chunk)) await once(request, 'drain');
  }
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return Number(await text(response));
}
