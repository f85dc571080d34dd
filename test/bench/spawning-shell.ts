import { spawnAs } from '../../src/postgres/cluster.ts';
import type { Shell } from './by-hand.ts';
import { endChild, type Scope } from './scope.ts';

/** Processes of this one, without a terminal. */
export const spawningShell =
  (scope: Scope): Shell =>
  ({ file, args, cwd, env, identity }) => {
    const { uid, gid } = spawnAs(identity);
    const options = { cwd, env: { ...process.env, ...env }, ...(uid !== undefined && { uid, gid }) };
    const child = scope.spawn(file, args, options, 'SIGINT');
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    }
    return Promise.resolve({
      said: () => Promise.resolve(said),
      hasEnded: () => child.exitCode !== null || child.signalCode !== null,
      end: () => endChild(child, 'SIGINT'),
    });
  };
