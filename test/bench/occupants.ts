import { once } from 'node:events';
import { join } from 'node:path';
import type { Band } from '../../src/model/port.ts';
import { portsOf, shuffled } from './bands.ts';
import type { Scope } from './scope.ts';

/** The built programs of this folder. */
export const program = (name: string): string => join(__dirname, 'programs', `${name}.cjs`);

/** Has another process listen on so many ports of the band, drawn at random; answers which. */
export async function occupy(scope: Scope, band: Band, count: number): Promise<ReadonlySet<number>> {
  const taken = shuffled(portsOf(band)).slice(0, count);
  if (taken.length === 0) return new Set();
  const child = scope.spawn(process.execPath, [program('occupant'), taken.join(',')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit').then(() => {
    throw new Error(`The ports ${taken.join(', ')} could not be occupied.`);
  });
  await Promise.race([once(child.stdout!, 'data'), exited]);
  exited.catch(() => undefined);
  return new Set(taken);
}
