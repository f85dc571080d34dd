import { strict as assert } from 'node:assert';
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { UserError } from '../../../src/base/errors.ts';
import { findInterpreter, type InterpreterOptions } from '../../../src/detect/interpreter.ts';
import { missingPackages } from '../../../src/detect/packages.ts';
import type { Interpreter } from '../../../src/model/python.ts';
import { ensurePythonStack } from '../../support/python.ts';
import { skip } from '../postgres/harness.ts';

/** Answers as a Python that is asked about itself does. */
const python = (major = 3, isExternallyManaged = false): string =>
  `#!/bin/sh\necho "[${major}, \\"$0\\", ${isExternallyManaged}]"\n`;

describe('the Python of a folder', function () {
  this.timeout(60_000);
  let root: string;
  let folder: string;
  let bin: string;

  before(function () {
    if (process.platform === 'win32') skip(this, 'the stand-ins are shell scripts');
  });

  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'helix-python-')));
    [folder, bin] = [join(root, 'work'), join(root, 'bin')];
    await mkdir(folder);
    await mkdir(bin);
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  async function program(path: string, text = python()): Promise<string> {
    await mkdir(dirname(path), { recursive: true });
    // Never through a link: that of an environment is the machine's own Python.
    await rm(path, { force: true });
    await writeFile(path, text, { flag: 'wx' });
    await chmod(path, 0o755);
    return path;
  }

  async function venv(name: string, settings = 'version = 3.11\n'): Promise<string> {
    const path = await program(join(folder, name, 'bin/python'));
    await writeFile(join(folder, name, 'pyvenv.cfg'), settings);
    return path;
  }

  const find = (options: Partial<InterpreterOptions> = {}): Promise<Interpreter> =>
    findInterpreter({ folder, env: { PATH: bin }, ...options });

  const found = async (options: Partial<InterpreterOptions> = {}): Promise<[path: string, source: string]> => {
    const { path, source } = await find(options);
    return [path.replace(`${root}/`, ''), source];
  };

  it('is what the user set: an executable, a name, or the folder of an environment', async () => {
    await venv('.venv');
    await venv('mine');
    await program(join(bin, 'python3.12'));
    const set = (value: string): Promise<[string, string]> => found({ wanted: { value, setBy: 'helix.python' } });
    assert.deepEqual(await set('python3.12'), ['bin/python3.12', 'helix.python']);
    assert.deepEqual(await set('mine'), ['work/mine/bin/python', 'helix.python']);
    assert.deepEqual(await set('./mine/bin/python'), ['work/mine/bin/python', 'helix.python']);
    assert.deepEqual(await set(join(bin, 'python3.12')), ['bin/python3.12', 'helix.python']);
    await assert.rejects(set('gone'), (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /^helix\.python is "gone", and there is no Python\. Correct it/);
      return true;
    });
  });

  it('is else what the Python extension has selected, as long as it is there', async () => {
    await venv('.venv');
    const selected = await program(join(root, 'selected/bin/python'));
    assert.deepEqual(await found({ selected }), ['selected/bin/python', 'the Python extension']);
    assert.deepEqual(await found({ selected: join(root, 'selected') }), [
      'selected/bin/python',
      'the Python extension',
    ]);
    for (const gone of [join(root, 'gone'), 'python'])
      assert.deepEqual(await found({ selected: gone }), ['work/.venv/bin/python', '.venv']);
  });

  it('is else in .venv, venv or helix_env, passing over a broken one', async () => {
    await venv('helix_env');
    assert.deepEqual(await found(), ['work/helix_env/bin/python', 'helix_env']);
    await venv('venv');
    assert.deepEqual(await found(), ['work/venv/bin/python', 'venv']);
    await mkdir(join(folder, '.venv/bin'), { recursive: true });
    await symlink(join(root, 'uninstalled'), join(folder, '.venv/bin/python'));
    assert.deepEqual(await found(), ['work/venv/bin/python', 'venv']);
    await rm(join(folder, '.venv'), { recursive: true });
    await venv('.venv');
    assert.deepEqual(await found(), ['work/.venv/bin/python', '.venv']);
  });

  it("is else uv's or Poetry's, who keep it elsewhere", async () => {
    const kept = await program(join(root, 'kept/bin/python'));
    const answer = `#!/bin/sh\n[ "$PWD" = "${folder}" ] && echo "${kept}"\n`;
    await program(join(bin, 'python3'));
    await writeFile(join(folder, 'uv.lock'), '');
    assert.deepEqual(await find(), {
      path: join(bin, 'python3'),
      source: 'python3 on the PATH',
      manager: 'uv',
      isExternallyManaged: false,
    });
    await program(join(bin, 'uv'), answer);
    assert.deepEqual(await found(), ['kept/bin/python', 'uv']);
    await rm(join(folder, 'uv.lock'));
    await writeFile(join(folder, 'pyproject.toml'), '[tool.poetry]\nname = "x"\n');
    assert.equal((await find()).manager, 'poetry');
    await program(join(bin, 'poetry'), answer);
    assert.deepEqual(await found(), ['kept/bin/python', 'poetry']);
    await program(join(bin, 'poetry'), '#!/bin/sh\necho "no environment"; exit 1\n');
    assert.deepEqual(await found(), ['bin/python3', 'python3 on the PATH']);
  });

  it('of an environment that uv made is served by uv, which put no pip into it', async () => {
    await venv('.venv', 'uv = 0.5.1\n');
    assert.equal((await find()).manager, 'uv pip');
  });

  it('is else the first Python 3 on the PATH that works', async () => {
    await program(join(bin, 'python3'), '#!/bin/sh\necho "pyenv: no version is set" >&2\nexit 1\n');
    await program(join(bin, 'python'), python(2));
    await assert.rejects(find(), /No Python was found .*Install Python 3, or name one with the setting helix\.python/);
    const other = join(root, 'other');
    await program(join(other, 'python3'), python(3, true));
    await rm(join(bin, 'python3'));
    assert.deepEqual(await find({ env: { PATH: `work:.:${bin}:${other}` } }), {
      path: join(other, 'python3'),
      source: 'python3 on the PATH',
      manager: 'pip',
      isExternallyManaged: true,
    });
  });

  it('can be asked which packages it misses', async function () {
    const stack = await ensurePythonStack();
    if (stack.kind === 'missing') return skip(this, stack.reason);
    await writeFile(join(folder, 'requirements.txt'), 'uvicorn[standard]>=0.1\nno-such-thing\nAsyncPG\n-r more.txt\n');
    await stack.makeVenv(folder);
    assert.deepEqual(await missingPackages(await find(), folder), ['no-such-thing']);
    await rm(join(folder, '.venv'), { recursive: true });
    await stack.makeBareVenv(folder);
    assert.deepEqual(await missingPackages(await find(), folder), ['uvicorn', 'no-such-thing', 'AsyncPG']);
    await program(join(folder, '.venv/bin/python'), '#!/bin/sh\nexit 1\n');
    assert.equal(await missingPackages(await find(), folder), undefined);
  });
});
