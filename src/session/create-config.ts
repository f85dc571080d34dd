import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf, UserError } from '../base/errors.ts';
import { detect } from '../detect/detect.ts';
import { configText } from '../model/config-text.ts';
import { CONFIG_FILE } from '../session/config-file.ts';

export interface CreatedConfig {
  readonly file: string;
  /** False when there was one already, which is never written over. */
  readonly created: boolean;
  readonly detected: boolean;
}

/**
 * Writes a folder's `helix.config.json` from what is detected there, or a skeleton.
 * @throws {UserError} when it cannot be written
 */
export async function createConfig(folder: string): Promise<CreatedConfig> {
  const file = join(folder, CONFIG_FILE);
  const detection = await detect(folder);
  try {
    await writeFile(file, configText(detection?.config), { flag: 'wx' });
    return { file, created: true, detected: detection !== undefined };
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') return { file, created: false, detected: false };
    throw new UserError(`${file} cannot be written: ${messageOf(cause)}. Check the permissions of the folder.`, {
      cause,
    });
  }
}
