import { constants } from 'node:fs';
import { access, readdir, realpath, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { CHECKOUT_FILES, checkoutConfig, type CheckoutFile } from '../model/checkout.ts';
import type { HelixConfig } from '../model/config.ts';

/** What a folder without a configuration was found to be. */
export interface Detection {
  /** The folder that is the checkout. */
  readonly folder: string;
  readonly config: HelixConfig;
}

/** For messages, in the place of a configuration's path. */
export const DETECTED = 'a HELIX v2.0 checkout, found by its files';

/** Is a HELIX v2.0 checkout in this very folder? */
export async function detect(
  folder: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Detection | undefined> {
  const entries = Object.entries(CHECKOUT_FILES) as [CheckoutFile, string][];
  const found = await Promise.all(
    entries.map(async ([name, path]) => ((await exists(join(folder, path))) ? [name] : [])),
  );
  const config = checkoutConfig(new Set(found.flat()), {
    pythonPathDelimiter: env['PYTHONPATH'] ? delimiter : undefined,
  });
  return config && { folder, config };
}

/** Folders that hold other people's code, or none. */
const PASSED_OVER = /^\.|^(node_modules|__pycache__|venv|env|helix_env|dist|build|out|site-packages)$/;

/**
 * The real paths of the folders one level below in which a checkout or a configuration may lie, by name. Those that
 * cannot be read have nothing to show.
 */
export async function foldersBelow(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  const folders = await Promise.all(
    names
      .filter(name => !PASSED_OVER.test(name))
      .sort()
      .map(name => readableFolder(join(folder, name))),
  );
  // Two names of one folder are one.
  return [...new Set(folders.flat())];
}

async function readableFolder(path: string): Promise<string[]> {
  try {
    const real = await realpath(path);
    if (!(await stat(real)).isDirectory()) return [];
    await access(real, constants.R_OK | constants.X_OK);
    return [real];
  } catch {
    return [];
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
