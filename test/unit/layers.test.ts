import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const root = rootAbove(__dirname);

/** What each layer may import, besides itself. Arrows point down only. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  model: ['base'],
  ports: ['base', 'model'],
  run: ['base', 'model', 'ports'],
  publish: ['base', 'model', 'run'],
  detect: ['base', 'model'],
  postgres: ['base', 'model', 'ports', 'run'],
  proxy: ['base', 'model'],
  session: ['base', 'model', 'ports', 'run', 'publish', 'detect', 'postgres', 'proxy', 'browser'],
  cli: ['base', 'model', 'ports', 'run', 'publish', 'detect', 'postgres', 'session', 'dashboard'],
  editor: ['base', 'model', 'ports', 'run', 'publish', 'detect', 'postgres', 'session', 'dashboard'],
  dashboard: ['base', 'model'],
  demo: ['base', 'model', 'postgres'],
  browser: ['base', 'model'],
};

/** Type-only imports of a composition root are of no consequence at run time. */
const IMPORT = /^(?:import|export)\s+(?!type\b)[^'"]*?from\s+'(?<from>[^']+)'|^import\s+'(?<bare>[^']+)'/gm;

describe('the layers', () => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(file =>
    file.endsWith('.ts'),
  );

  for (const [layer, below] of Object.entries(LAYERS)) {
    it(`${layer}/ imports nothing but ${[layer, ...below].join(', ')}`, () => {
      const own = files.filter(file => file.startsWith(`${layer}/`));
      assert.ok(own.length > 0);
      const wrong = own.flatMap(file =>
        importsOf(file)
          .filter(to => ![layer, ...below].includes(to.split('/')[0]!))
          .map(to => `${file} -> ${to}`),
      );
      assert.deepEqual(wrong, []);
    });
  }

  it('only editor/ and the extension know vscode', () => {
    const knowing = files.filter(file => /from 'vscode'/.test(readFileSync(join(root, 'src', file), 'utf8')));
    assert.deepEqual(
      knowing.filter(file => !file.startsWith('editor/') && file !== 'extension.ts'),
      [],
    );
  });

  it('every folder of src is a known layer', () => {
    const folders = new Set(files.filter(file => file.includes('/')).map(file => file.split('/')[0]!));
    assert.deepEqual(
      [...folders].filter(folder => !(folder in LAYERS)),
      [],
    );
  });

  it('port numbers stand in model/defaults.ts alone', () => {
    const wrong = files.filter(
      file => file !== 'model/defaults.ts' && /\b(5432|80\d\d|81\d\d|82\d\d|83\d\d)\b/.test(code(file)),
    );
    assert.deepEqual(wrong, []);
  });

  /** Relative imports that remain at run time, as paths below src. */
  function importsOf(file: string): string[] {
    const source = readFileSync(join(root, 'src', file), 'utf8');
    return [...source.matchAll(IMPORT)]
      .map(match => match.groups?.['from'] ?? match.groups?.['bare'] ?? '')
      .filter(path => path.startsWith('.'))
      .map(path => normalize(join(dirname(file), path)));
  }

  /** Without comments and help texts, where an example may name a port. */
  const code = (file: string): string =>
    readFileSync(join(root, 'src', file), 'utf8')
      .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
      .replace(/['"`][^'"`\n]*['"`]/g, '');
});

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder));
}
