import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';

/** `occupant PORT,PORT,…`: listens on them until it is ended, in turn on each address that a server may choose. */
const hasIpv6 = Object.values(networkInterfaces()).some(all => all?.some(one => one.family === 'IPv6'));
const hosts = hasIpv6 ? ['127.0.0.1', '::1', '0.0.0.0', '::'] : ['127.0.0.1', '0.0.0.0'];
const ports = (process.argv[2] ?? '').split(',').filter(Boolean).map(Number);

const listening = ports.map(
  (port, index) =>
    new Promise<void>((resolve, reject) => {
      const server = createServer(socket => socket.destroy());
      server.once('error', reject);
      server.listen(port, hosts[index % hosts.length], resolve);
    }),
);

// Its parent's end is its own: the pipe closes.
process.stdin.on('end', () => process.exit(0)).resume();

Promise.all(listening).then(
  () => process.stdout.write('listening\n'),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
