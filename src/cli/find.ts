import { userName } from '../base/user.ts';
import { BANDS } from '../model/defaults.ts';
import { type Band, isPort } from '../model/port.ts';
import { allocateFromBand } from '../ports/allocate.ts';
import { type CliContext, EXIT, UsageError } from './context.ts';

/**
 * The guide's find-port: prints one port that was free a moment ago. Nothing holds it once this process ends; `start`
 * is what holds ports.
 */
export async function find({ words, out }: CliContext): Promise<number> {
  const { band, service } = readRange(words);
  const lease = await allocateFromBand(band, {
    owner: { pid: process.pid, user: userName(), workspace: process.cwd(), service },
    // A range that the caller spelled out may be the very ports that bands leave alone.
    ...(words.length >= 2 ? { reserved: [], toWiden: 'name a wider range' } : {}),
  });
  await lease.release();
  out(String(lease.port));
  return EXIT.ok;
}

function readRange(words: readonly string[]): { band: Band; service: string } {
  const [first, second, third] = words;
  if (words.length < 2) {
    const service = first ?? 'api';
    if (!Object.hasOwn(BANDS, service)) {
      throw new UsageError(
        `unknown service ${JSON.stringify(service)}: ${Object.keys(BANDS).join(', ')}, or give START END`,
      );
    }
    return { band: BANDS[service as keyof typeof BANDS], service };
  }
  const [from, to] = [portOf(first), portOf(second)];
  if (!isPort(from) || !isPort(to)) throw new UsageError(`not a range of ports: ${first} ${second} (1 to 65535)`);
  if (from > to) throw new UsageError(`the range ${from}-${to} is empty: START is greater than END`);
  return { band: { from, to }, service: third ?? 'service' };
}

/** Digits alone: what else `Number` takes for one, nobody means. */
const portOf = (word: string | undefined): number => (/^\d+$/.test(word ?? '') ? Number(word) : NaN);
