import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../base/errors.ts';

/** Where packages put it although users' PATHs do not look there. */
const FURTHER_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin', '/opt/local/sbin'];

/** One line that installs it, by the package manager that is there. */
const INSTALLERS: readonly (readonly [program: string, line: string])[] = [
  ['/usr/bin/apt-get', 'sudo apt install nginx-light'],
  ['/usr/bin/dnf', 'sudo dnf install nginx'],
  ['/sbin/apk', 'sudo apk add nginx'],
  ['/usr/bin/pacman', 'sudo pacman -S nginx'],
  ['/usr/bin/zypper', 'sudo zypper install nginx'],
  ['/opt/homebrew/bin/brew', 'brew install nginx'],
  ['/usr/local/bin/brew', 'brew install nginx'],
];

/**
 * The nginx to run: the one that is named, or the first on the PATH and where packages put it.
 * @throws {UserError} with the line that installs it, and the way without it
 */
export async function findNginx(named: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  if (process.platform === 'win32') {
    throw new UserError(`nginx for Windows cannot reload without losing requests. ${EMBEDDED_INSTEAD}`, useEmbedded);
  }
  if (named) {
    if (isAbsolute(named) && (await isProgram(named))) return named;
    throw new UserError(
      `helix.proxy.nginxPath is ${JSON.stringify(named)}, which is not the absolute path of a program. ` +
        `Correct it, or leave it empty for the nginx on the PATH. ${EMBEDDED_INSTEAD}`,
      useEmbedded,
    );
  }
  const folders = [...(env['PATH'] ?? '').split(delimiter).filter(isAbsolute), ...FURTHER_FOLDERS];
  for (const folder of folders) {
    const file = join(folder, 'nginx');
    if (await isProgram(file)) return file;
  }
  throw new UserError(`nginx is not installed. Install it (${await installLine()}). ${EMBEDDED_INSTEAD}`, useEmbedded);
}

const EMBEDDED_INSTEAD =
  'Or use the embedded engine, which needs nothing: "proxy": { "engine": "embedded" } in helix.config.json, or the setting helix.proxy.engine.';

/** The editor knows of which workspace it is said. */
const useEmbedded = {
  action: { label: 'Use the embedded engine', kind: 'command', command: 'helix.useEmbeddedEngine' },
} as const;

async function installLine(): Promise<string> {
  for (const [program, line] of INSTALLERS) if (await isProgram(program)) return line;
  return 'with the package manager of your system';
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

/** `[1, 22, 1]`; nothing where it cannot be told. */
export async function nginxVersion(program: string): Promise<readonly number[]> {
  // It says so on stderr.
  const { stderr } = await promisify(execFile)(program, ['-v']).catch(() => ({ stderr: '' }));
  const version = /nginx\/(?<version>[\d.]+)/.exec(stderr)?.groups?.['version'];
  return version?.split('.').map(Number) ?? [];
}
