import { execFile } from 'node:child_process';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import { detectPort } from 'detect-port';
import getPort, { clearLockedPorts, portNumbers } from 'get-port';
import { getPort as getPortPlease } from 'get-port-please';
import { getPortPromise } from 'portfinder';
import type { Band } from '../../src/model/port.ts';
import { allocateFromBand } from '../../src/ports/allocate.ts';
import { portsOf, shuffled } from './bands.ts';

/** One way to a port of a band. */
export interface Finder {
  readonly name: string;
  /** Each call is a process of its own. */
  readonly isProgram?: true;
  /** Forgets what earlier calls in this process have learnt; not part of the time. */
  readonly reset?: () => void;
  readonly find: (band: Band) => Promise<Found>;
}

export interface Found {
  readonly port: number;
  /** Gives back what holds the port, where something does. */
  readonly release?: () => Promise<void>;
}

const run = promisify(execFile);
const owner = { pid: process.pid, user: userInfo().username, workspace: '/bench', service: 'bench' };
const only = async (port: Promise<number>): Promise<Found> => ({ port: await port });

/** Ours and the alternatives, each used as its own documentation shows for a range. */
export function findersWith(script: string): readonly Finder[] {
  return [
    {
      name: 'HELIX lease',
      find: band => allocateFromBand(band, { owner, reserved: [] }),
    },
    {
      name: 'get-port',
      // It refuses what it has answered in the last half minute, which would wear the band out.
      reset: clearLockedPorts,
      find: band => only(getPort({ port: portNumbers(band.from, band.to) })),
    },
    {
      name: 'get-port, shuffled band',
      reset: clearLockedPorts,
      find: band => only(getPort({ port: shuffled(portsOf(band)) })),
    },
    { name: 'portfinder', find: band => only(getPortPromise({ port: band.from, stopPort: band.to })) },
    { name: 'detect-port', find: band => only(detectPort(band.from)) },
    { name: 'get-port-please', find: band => only(getPortPlease({ portRange: [band.from, band.to] })) },
    {
      name: "the guide's script (equivalent)",
      isProgram: true,
      find: async ({ from, to }) => {
        const { stdout } = await run('bash', [script, String(from), String(to)]);
        return { port: Number(stdout) };
      },
    },
  ];
}
