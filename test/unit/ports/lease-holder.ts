import { toPort } from '../../../src/model/port.ts';
import { leasePort } from '../../../src/ports/lease.ts';

/** Tries to lease the port `process.argv[2]`, says `held` or `refused`, and stays until it is killed. */
async function main(): Promise<void> {
  const owner = { pid: process.pid, user: 'alice', workspace: '/work', service: 'api' };
  const lease = await leasePort(toPort(Number(process.argv[2])), owner);
  process.stdout.write(lease ? 'held\n' : 'refused\n');
  setInterval(() => undefined, 1_000);
}

void main();
