import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { toPort } from '../../../src/model/port.ts';
import { allocateFromBand } from '../../../src/ports/allocate.ts';

/**
 * One of many that lease a port of each band at once and bind it 50 ms later, as a service does that has to start
 * first. Says `ready`, waits for a line, then says how it went: ports and collisions.
 */
async function main(): Promise<void> {
  const bands = process.argv.slice(2).map(text => text.split('-').map(Number));
  process.stdout.write('ready\n');
  await once(process.stdin, 'data');
  const ports: number[] = [];
  const collisions: string[] = [];
  for (const [index, [from, to]] of bands.entries()) {
    const owner = { pid: process.pid, user: '', workspace: '', service: `s${index}` };
    const { port } = await allocateFromBand({ from: toPort(from), to: toPort(to) }, { owner });
    await sleep(50);
    const server = createServer();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening').catch((error: unknown) => collisions.push(String(error)));
    ports.push(port);
  }
  process.stdout.write(`${JSON.stringify({ ports, collisions })}\n`);
  // The ports stay taken until all have theirs.
  await once(process.stdin, 'end');
  process.exit();
}

void main();
