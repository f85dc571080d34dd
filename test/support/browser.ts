import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompressSync } from 'node:zlib';
import { execa } from 'execa';
import { chromium, type Browser } from 'playwright-core';
import { ensureFolder, readManifest } from './npm.ts';
import { cacheDir, repoRoot } from './paths.ts';

const run = promisify(execFile);

/** No sandbox, since it needs user namespaces or root's help, which containers lack; and only our own pages are shown. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  // /dev/shm is 64 MB small in containers, and a page that outgrows it crashes.
  '--disable-dev-shm-usage',
];

interface Program {
  readonly path: string;
  readonly env?: Record<string, string>;
}

/** A Chromium with a new, empty profile: `CHROMIUM_PATH`, else one of the machine's, else the one from npm. */
export async function launchBrowser(options: { headless?: boolean } = {}): Promise<Browser> {
  const program = await findChromium();
  return chromium.launch({
    executablePath: program.path,
    headless: options.headless ?? true,
    args: flags,
    env: { ...definedEnv(), ...program.env },
    // Ending is in the hands of who launched it, who has more to stop than the browser.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
}

async function findChromium(): Promise<Program> {
  const chosen = process.env['CHROMIUM_PATH'];
  if (chosen) {
    if (!existsSync(chosen)) throw new Error(`CHROMIUM_PATH names ${chosen}, which does not exist.`);
    return { path: chosen };
  }
  const installed = installedBrowsers().find(path => existsSync(path));
  if (installed) return { path: installed };
  if (process.platform === 'linux' && process.arch === 'x64') return packagedChromium();
  throw new Error('No Chromium was found. Install Chrome or Chromium, or name one in CHROMIUM_PATH.');
}

function installedBrowsers(): string[] {
  switch (process.platform) {
    case 'darwin':
      return ['Google Chrome', 'Chromium', 'Microsoft Edge'].map(
        name => `/Applications/${name}.app/Contents/MacOS/${name}`,
      );
    case 'win32':
      return ['PROGRAMFILES', 'PROGRAMFILES(X86)', 'LOCALAPPDATA'].flatMap(name => {
        const folder = process.env[name];
        if (!folder) return [];
        return ['Google/Chrome/Application/chrome.exe', 'Microsoft/Edge/Application/msedge.exe'].map(file =>
          join(folder, file),
        );
      });
    default:
      return ['chromium', 'google-chrome', 'google-chrome-stable', 'chromium-browser'].map(name => `/usr/bin/${name}`);
  }
}

/**
 * The Chromium in `@sparticuz/chromium`, unpacked into our cache. Its own `executablePath()` unpacks into the shared
 * /tmp, where the copy of one user is of no use to the next, and leaves out the libraries that slim images lack.
 */
async function packagedChromium(): Promise<Program> {
  const packed = join(repoRoot, 'node_modules/@sparticuz/chromium');
  const { version } = await readManifest(packed);
  const folder = join(cacheDir(), `chromium-${version}`);
  if (!existsSync(folder)) console.log(`Chromium ${version}: unpacking ...`);
  await ensureFolder(folder, unfinished => unpackChromium(join(packed, 'bin'), unfinished, folder));
  const path = join(folder, 'chromium');
  const env: Record<string, string> = existsSync('/etc/fonts/fonts.conf') ? {} : { FONTCONFIG_PATH: folder };
  if (!(await starts(path, env))) env['LD_LIBRARY_PATH'] = join(folder, 'lib');
  return { path, env };
}

async function unpackChromium(packed: string, unfinished: string, folder: string): Promise<void> {
  const unpacked = async (file: string): Promise<Buffer> => brotliDecompressSync(await readFile(join(packed, file)));
  await writeFile(join(unfinished, 'chromium'), await unpacked('chromium.br'), { mode: 0o755 });
  for (const file of ['al2023.tar.br', 'fonts.tar.br', 'swiftshader.tar.br']) {
    await execa('tar', ['-xf', '-', '-C', unfinished, '--no-same-owner'], { input: await unpacked(file) });
  }
  const fonts = `<fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/fonts-cache</cachedir></fontconfig>`;
  await writeFile(
    join(unfinished, 'fonts.conf'),
    `<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n${fonts}\n`,
  );
}

async function starts(path: string, env: Record<string, string>): Promise<boolean> {
  return run(path, ['--version'], { env: { ...process.env, ...env } }).then(
    () => true,
    () => false,
  );
}

function definedEnv(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
