import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { repoRoot } from '../../support/paths.ts';

const script = readFileSync(join(repoRoot, 'media', 'port-discovery.js'), 'utf8');
const types = readFileSync(join(repoRoot, 'media', 'port-discovery.d.ts'), 'utf8');

/** What a plain `<script>` finds when it is run. */
function pageWith(globals: Record<string, unknown> = {}): Record<string, unknown> {
  const page: Record<string, unknown> = {
    document: { URL: 'http://localhost:3000/', querySelector: () => null },
    origin: 'http://localhost:3000',
    EventTarget,
    AbortController,
    AbortSignal,
    URL,
    ...globals,
  };
  page['window'] = page;
  runInContext(script, createContext(page));
  return page;
}

describe('port-discovery.js', () => {
  it('is one file below 5 kB as servers send it, which needs nothing else', () => {
    const size = gzipSync(script).length;
    assert.ok(size < 5_000, `${size} bytes`);
    assert.doesNotMatch(script, /\b(import|export)\b|\brequire\(|\beval\(|new Function|sourceMappingURL/);
  });

  it('adds the contract of HELIX’s page to the window, and nothing more', () => {
    const before = new Set([...Object.keys(pageWith({ helixApi: {} }))]);
    const added = Object.keys(pageWith()).filter(name => !before.has(name));
    const names = ['PortDiscovery', 'buildHelixApiUrl', 'getHelixApiBase', 'initializeHelixApi'];
    assert.deepEqual(added.sort(), names);
    for (const name of [...names, 'helixApi']) assert.match(types, new RegExp(`\\b${name}[(:]`), name);
  });

  it('does nothing until it is asked to', () => {
    const page = pageWith();
    assert.equal((page['getHelixApiBase'] as () => string)(), '');
    assert.equal((page['buildHelixApiUrl'] as (path: string) => string)('/x'), '/x');
  });

  it('keeps what is there when it is loaded twice', () => {
    const helixApi = {};
    assert.equal(pageWith({ helixApi })['helixApi'], helixApi);
  });

  it('comes with types that need nothing else', () => {
    assert.doesNotMatch(types, /\bfrom '|\bimport\(/);
    assert.doesNotMatch(types, /^(export )?(const|let|function|class) /m);
  });
});
