import { cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { context, build, transform } from 'esbuild';

const args = new Set(process.argv.slice(2));
const production = args.has('--production');
const require = createRequire(import.meta.url);

/** @type {import('esbuild').BuildOptions} */
const node = {
  bundle: true,
  platform: 'node',
  // jsonc-parser's main is UMD, whose inner requires a bundler cannot follow.
  mainFields: ['module', 'main'],
  format: 'cjs',
  target: 'node20',
  sourcemap: production ? false : 'linked',
  minify: production,
  legalComments: 'none',
  logLevel: 'warning',
  // pg's optional native binding; it is only loaded on request.
  external: ['pg-native'],
};

/**
 * A program of `src` in files of its own: what it imports with `import()` is not even read before that. esbuild splits
 * only ES modules, so its files are turned into CommonJS, which the extension host and every Node load alike.
 * @returns {import('esbuild').BuildOptions}
 */
const split = (name, external = []) => ({
  ...node,
  entryPoints: [`src/${name}.ts`],
  outdir: 'dist',
  splitting: true,
  format: 'esm',
  chunkNames: `${name}-[name]-[hash]`,
  outExtension: { '.js': '.cjs' },
  sourcemap: production ? false : 'inline',
  external: [...node.external, ...external],
  write: false,
  plugins: [{ name: 'commonjs', setup: ({ onEnd }) => onEnd(result => writeCommonJs(name, result)) }],
});

async function writeCommonJs(name, { outputFiles = [] }) {
  for (const { path, text } of outputFiles) {
    const { code, map } = await transform(text, {
      format: 'cjs',
      platform: 'node',
      target: node.target,
      // As `require`: a native `import()` would go through another loader, which knows no `vscode`.
      supported: { 'dynamic-import': false },
      minify: production,
      legalComments: 'none',
      sourcemap: production ? false : 'external',
      sourcefile: basename(path),
    });
    await writeFile(path, production ? code : `${code}//# sourceMappingURL=${basename(path)}.map\n`);
    if (map) await writeFile(`${path}.map`, map);
  }
  await removeOldChunks(name, new Set(outputFiles.map(file => basename(file.path))));
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Of former builds. Not at once: what runs from them may still load some. */
async function removeOldChunks(name, present) {
  for (const file of await readdir('dist')) {
    if (!file.startsWith(`${name}-`) || present.has(file.replace(/\.map$/, ''))) continue;
    const path = join('dist', file);
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > DAY_MS) await rm(path, { force: true });
  }
}

/** With `new Response` pg asks whether it runs at Cloudflare, and for that Node 20 loads all of fetch, which takes 20 ms. */
const noFetch = { define: { Response: 'undefined' } };

// Only the extension's bundle knows `vscode`: a value import of it from a lower layer fails the build of the others.
/** @type {import('esbuild').BuildOptions[]} */
const bundles = [
  split('extension', ['vscode']),
  ...['cli', 'supervisor', 'proxy'].map(name => split(name)),
  { ...split('postgres'), ...noFetch },
  ...['api', 'orchestrator', 'worker'].map(name => ({
    ...node,
    ...noFetch,
    sourcemap: false,
    entryPoints: [`src/demo/${name}.ts`],
    outfile: `dist/demo/services/${name}.cjs`,
  })),
  // For pages: one plain script, always small, whose size a test holds.
  {
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'es2022',
    minify: true,
    logLevel: 'warning',
    entryPoints: ['src/browser/port-discovery.ts'],
    outfile: 'media/port-discovery.js',
  },
].filter(bundle => existsSync(bundle.entryPoints[0]));

/** The dashboard's page: one script and one style sheet, for the webview and for the command line that serves it. */
for (const entry of ['page.ts', 'page.css']) {
  bundles.push({
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: ['chrome120', 'firefox120', 'safari17'],
    minify: production,
    sourcemap: production ? false : 'linked',
    legalComments: 'none',
    logLevel: 'warning',
    entryPoints: [`src/dashboard/${entry}`],
    outfile: `dist/dashboard/${entry.replace('.ts', '.js')}`,
  });
}

/** The configuration's JSON schema comes from the very code that checks it. */
async function writeSchema() {
  const bundle = await build({ ...node, entryPoints: ['src/model/config.ts'], write: false, sourcemap: false });
  const module = { exports: {} };
  new Function('module', 'exports', 'require', bundle.outputFiles[0].text)(module, module.exports, require);
  await writeFile('dist/helix.config.schema.json', JSON.stringify(module.exports.configJsonSchema(), undefined, 2));
}

async function copyAssets() {
  await writeSchema();
  // It holds declarations only, so it is its own declaration file.
  await cp('src/browser/contract.ts', 'media/port-discovery.d.ts');
  if (existsSync('src/demo/workspace')) await cp('src/demo/workspace', 'dist/demo', { recursive: true });
  if (existsSync('dist/demo')) await cp('media/port-discovery.js', 'dist/demo/services/ui/port-discovery.js');
  const swagger = dirname(require.resolve('swagger-ui-dist/package.json'));
  await mkdir('dist/demo/services/docs', { recursive: true });
  for (const file of ['swagger-ui-bundle.js', 'swagger-ui.css']) {
    await cp(join(swagger, file), join('dist/demo/services/docs', file));
  }
}

/** A compiled test whose source is gone would go on being run. */
async function removeStale(entryPoints) {
  const wanted = new Set(entryPoints.map(file => join('out', file.replace(/\.ts$/, '.cjs'))));
  const present = await readdir('out/test', { recursive: true }).catch(() => []);
  for (const file of present.map(name => join('out/test', name))) {
    if (file.endsWith('.cjs') && !wanted.has(file)) await rm(file);
  }
}

async function buildTests() {
  const entryPoints = (await readdir('test', { recursive: true }))
    .filter(file => file.endsWith('.ts') && !file.startsWith('fixtures'))
    .map(file => join('test', file));
  if (!entryPoints.length) return;
  await removeStale(entryPoints);
  await build({
    ...node,
    entryPoints,
    outdir: 'out/test',
    outbase: 'test',
    outExtension: { '.js': '.cjs' },
    sourcemap: 'inline',
    external: [
      ...node.external,
      'vscode',
      'mocha',
      'esbuild',
      'playwright-core',
      '@sparticuz/chromium',
      '@vscode/test-electron',
    ],
  });
}

// Nothing stale goes into a package; otherwise what runs from here is not pulled away.
if (production) await rm('dist', { recursive: true, force: true });
await mkdir('dist', { recursive: true });
if (args.has('--watch')) {
  const contexts = await Promise.all(bundles.map(bundle => context(bundle)));
  await copyAssets();
  await Promise.all(contexts.map(one => one.watch()));
  console.log(`watching ${bundles.map(bundle => basename(bundle.entryPoints[0], '.ts')).join(', ')}`);
} else {
  await Promise.all(bundles.map(bundle => build(bundle)));
  await copyAssets();
  if (args.has('--tests')) await buildTests();
}
