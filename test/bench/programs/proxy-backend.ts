import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the proxies stand before: `/200` and `/100000` answer so many bytes, an upload is read to its end. Prints its port. */
const bodies = new Map([200, 100_000].map(size => [`/${size}`, Buffer.alloc(size, 'x')]));

const server = createServer((request, response) => {
  const body = bodies.get(request.url ?? '');
  if (body) {
    response.writeHead(200, ['Content-Type', 'text/plain', 'Content-Length', String(body.length)]);
    return void response.end(body);
  }
  let bytes = 0;
  request.on('data', (chunk: Buffer) => (bytes += chunk.length));
  request.on('end', () => response.end(String(bytes)));
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
