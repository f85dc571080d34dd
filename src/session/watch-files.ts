import { relative, sep } from 'node:path';
import { watch } from 'chokidar';
import picomatch from 'picomatch';
import type { Disposable } from '../base/dispose.ts';

export interface WatchFilesOptions {
  /** The folder's real path. */
  readonly workspace: string;
  /** Relative to the workspace and with slashes; what begins with `!` is left out of the others. */
  readonly globs: readonly string[];
  /** A file that matches was written, made or removed: its path beneath the workspace, with slashes. */
  readonly onChange: (path: string) => void;
  readonly onError: (error: unknown) => void;
}

/** What tools put beside the sources. Looked into only where a glob names it. */
const LEFT_OUT = new Set([
  '.git',
  '.hg',
  '.svn',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
  '.tox',
  '.venv',
  '__pycache__',
  'node_modules',
  'venv',
]);

/** Settles once changes are seen: what happens before is not told. */
export async function watchFiles({ workspace, globs, onChange, onError }: WatchFilesOptions): Promise<Disposable> {
  const filter = filterOf(globs);
  const pathOf = (file: string): string => relative(workspace, file).split(sep).join('/');
  // The whole path is asked for: a folder that a glob names may be made only later.
  const watcher = watch(workspace, {
    ignoreInitial: true,
    followSymlinks: false,
    ignored: (file, stats) => {
      const path = pathOf(file);
      if (path === '') return false;
      return stats?.isFile() ? !filter.isMatch(path) : !filter.mayHold(path);
    },
  });
  watcher.on('error', onError);
  watcher.on('all', (_event, file) => {
    const path = pathOf(file);
    if (filter.isMatch(path)) onChange(path);
  });
  await new Promise<void>(resolve => watcher.once('ready', resolve));
  return { dispose: () => void watcher.close() };
}

interface Filter {
  readonly isMatch: (path: string) => boolean;
  /** Whether this is, or may hold, something that matches. */
  readonly mayHold: (path: string) => boolean;
}

export function filterOf(globs: readonly string[]): Filter {
  const wanted = globs.filter(glob => !glob.startsWith('!'));
  const ignore = globs.filter(glob => glob.startsWith('!')).map(glob => glob.slice(1));
  const isGlobMatch = wanted.length > 0 ? picomatch(wanted, { ignore }) : (): boolean => false;
  // `src/api` of `src/api/**/*.py`; empty for `**/*.py`.
  const bases = wanted.map(glob => picomatch.scan(glob).base);
  const named = new Set(wanted.flatMap(glob => glob.split('/')));
  const isLeftOut = (path: string): boolean => path.split('/').some(part => LEFT_OUT.has(part) && !named.has(part));
  const isOnTheWay = (path: string): boolean =>
    bases.some(base => base === '' || `${path}/`.startsWith(`${base}/`) || base.startsWith(`${path}/`));
  return {
    isMatch: path => isGlobMatch(path) && !isLeftOut(path),
    mayHold: path => isOnTheWay(path) && !isLeftOut(path),
  };
}
