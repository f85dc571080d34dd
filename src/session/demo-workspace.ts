import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { CONFIG_FILE } from './config-file.ts';

export const DEMO_FOLDER = 'helix-demo';

/**
 * Makes `helix-demo` in `parent` from the built demo, or brings the services of one that is there up to date.
 * The user's own changes to configuration and `.env` stay.
 * @returns the folder's path
 */
export async function createDemoWorkspace(demoSource: string, parent: string): Promise<string> {
  const folder = join(parent, DEMO_FOLDER);
  if (existsSync(folder) && !(await isDemo(folder))) {
    throw new UserError(`${folder} exists and is not the HELIX demo. Choose another place, or rename that folder.`);
  }
  await mkdir(folder, { recursive: true });
  await cp(join(demoSource, 'services'), join(folder, 'services'), { recursive: true, force: true });
  await cp(demoSource, folder, { recursive: true, force: false, errorOnExist: false });
  await cp(join(demoSource, '.env.example'), join(folder, '.env'), { force: false, errorOnExist: false });
  return folder;
}

async function isDemo(folder: string): Promise<boolean> {
  return (await readFile(join(folder, CONFIG_FILE), 'utf8').catch(() => '')).includes('services/api.cjs');
}

/** Sets one variable of the demo's `.env`, replacing the line that has it. */
export async function setDemoVariable(folder: string, name: string, value: string): Promise<void> {
  const file = join(folder, '.env');
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  const index = lines.findIndex(line => line.startsWith(`${name}=`));
  const line = `${name}=${value}`;
  if (index >= 0) lines[index] = line;
  else lines.splice(Math.max(0, lines.length - 1), 0, line);
  await writeFile(file, lines.join('\n'));
}
