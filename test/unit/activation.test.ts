import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build, type Metafile } from 'esbuild';

const root = rootAbove(__dirname);

/** Loaded before the extension is active, and so in every window with a HELIX whether it is used or not. */
describe('what activating loads', () => {
  let graph: Metafile['inputs'];
  let loaded: ReadonlySet<string>;

  before(async () => {
    graph = await modulesOf('src/extension.ts');
    loaded = reachedAtOnce(graph, 'src/extension.ts');
  });

  it('is what registers, shows and commands', () => {
    for (const part of ['commands', 'folder-stacks', 'reporter', 'status-bar', 'tree']) {
      assert.ok(loaded.has(`src/editor/${part}.ts`), part);
    }
  });

  it('holds no library', () => {
    assert.deepEqual(
      [...loaded].filter(file => file.includes('node_modules/')),
      [],
    );
  });

  it('holds nothing that starts, talks to or publishes services', () => {
    const lazy = /^src\/(run|ports|publish|postgres|proxy)\/|^src\/session\/(load-plan|stack|start-run)\.ts$/;
    const deferred = Object.keys(graph).filter(file => lazy.test(file));
    assert.ok(deferred.length > 20, 'they are reached later');
    assert.deepEqual(
      [...loaded].filter(file => lazy.test(file)),
      [],
    );
  });
});

/** What remains at run time of a program's modules and their imports: imports of types alone are gone. */
async function modulesOf(entry: string): Promise<Metafile['inputs']> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    mainFields: ['module', 'main'],
    format: 'cjs',
    external: ['vscode', 'pg-native'],
    write: false,
    metafile: true,
    outfile: 'bundle.cjs',
    logLevel: 'silent',
  });
  return metafile.inputs;
}

/** All that is loaded with `entry`; what `import()` names comes when it is called. */
function reachedAtOnce(graph: Metafile['inputs'], entry: string): ReadonlySet<string> {
  const reached = new Set([entry]);
  for (const file of reached) {
    for (const one of graph[file]!.imports) {
      if (one.kind !== 'dynamic-import' && !one.external) reached.add(one.path);
    }
  }
  return reached;
}

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder));
}
