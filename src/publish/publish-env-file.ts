import { faultPoint } from '../base/fault.ts';
import { withClaim } from '../run/claim.ts';
import { envBlockSays, writeEnvBlock } from './env-file.ts';

const CLAIM = '.publish';

/**
 * Makes the marked block of `file` agree with `values`. Several windows and command lines of one workspace do this,
 * so one at a time; none of them creates the file just to say that nothing runs.
 */
export async function publishEnvFile(
  dir: string,
  file: string | undefined,
  values: ReadonlyMap<string, string>,
): Promise<void> {
  // Mostly there is nothing to do, and then nobody has to wait for anybody.
  if (file === undefined || (await envBlockSays(file, values))) return;
  await withClaim(dir, CLAIM, undefined, () => writeEnvBlock(file, values));
  faultPoint('client.published');
}
