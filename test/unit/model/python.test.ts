import { strict as assert } from 'node:assert';
import {
  commandText,
  installCommands,
  type Interpreter,
  missingModule,
  requirementsOf,
} from '../../../src/model/python.ts';

describe('a missing Python package', () => {
  const rows: [said: string[], module: string | undefined][] = [
    [["ModuleNotFoundError: No module named 'asyncpg'"], 'asyncpg'],
    [['    import google.generativeai', "ModuleNotFoundError: No module named 'google.generativeai'", ''], 'google'],
    [['/home/a/.venv/bin/python: No module named uvicorn'], 'uvicorn'],
    [['C:\\Python312\\python.exe: No module named uvicorn.__main__; see'], 'uvicorn'],
    [['/usr/bin/python3.11: No module named uvicorn'], 'uvicorn'],
    [['ImportError: No module named yaml'], 'yaml'],
    [["ModuleNotFoundError: No module named 'a'", "ModuleNotFoundError: No module named 'b'"], 'b'],
    [["ImportError: cannot import name 'x' from 'y'"], undefined],
    [['a job asked for: No module named uvicorn'], undefined],
    [[], undefined],
  ];
  for (const [said, module] of rows) {
    it(`is ${module ?? 'none'} after ${JSON.stringify(said.at(-1) ?? '')}`, () =>
      assert.equal(missingModule(said), module));
  }

  const interpreter = (changes: Partial<Interpreter> = {}): Interpreter => ({
    path: '/w/.venv/bin/python',
    source: '.venv',
    manager: 'pip',
    isExternallyManaged: false,
    ...changes,
  });
  const text = (one: Interpreter, hasRequirements = true, module = 'dotenv'): string =>
    commandText(
      installCommands({ interpreter: one, module, folder: '/w', hasRequirements, platform: 'linux' }),
      'linux',
    );

  it('is installed by the pip of that very interpreter', () => {
    assert.equal(text(interpreter()), '/w/.venv/bin/python -m pip install -r requirements.txt');
    assert.equal(text(interpreter(), false), '/w/.venv/bin/python -m pip install python-dotenv');
    assert.equal(text(interpreter(), false, 'asyncpg'), '/w/.venv/bin/python -m pip install asyncpg');
  });

  it('is installed by the tool that keeps the environment', () => {
    assert.equal(text(interpreter({ manager: 'uv' })), 'uv sync');
    assert.equal(text(interpreter({ manager: 'poetry' })), 'poetry install');
    assert.equal(
      text(interpreter({ manager: 'uv pip' })),
      'uv pip install --python /w/.venv/bin/python -r requirements.txt',
    );
  });

  it('is put into an environment of its own where the system takes none', () => {
    assert.equal(
      text(interpreter({ path: '/usr/bin/python3', isExternallyManaged: true })),
      '/usr/bin/python3 -m venv .venv && /w/.venv/bin/python -m pip install -r requirements.txt',
    );
  });

  it('has a command that a shell takes, whatever the path', () => {
    assert.equal(commandText([["/it's here/python", '-m', 'pip']], 'linux'), `'/it'\\''s here/python' -m pip`);
    assert.equal(commandText([['C:\\Program Files\\python.exe', '-m']], 'win32'), '"C:\\Program Files\\python.exe" -m');
  });
});

describe('a requirements.txt', () => {
  it('names packages', () => {
    const text = [
      '# comment',
      '',
      'fastapi>=0.92',
      'uvicorn[standard] == 0.17.6  # server',
      'python-dotenv',
      'colorama; sys_platform == "win32"',
      'tool @ https://example.org/tool.whl',
      '-r more.txt',
      '--hash=sha256:00',
      './local',
      'asyncpg \\',
      '  >= 0.27',
    ].join('\n');
    assert.deepEqual(requirementsOf(text), [
      { name: 'fastapi' },
      { name: 'uvicorn' },
      { name: 'python-dotenv' },
      { name: 'colorama', marker: 'sys_platform == "win32"' },
      { name: 'tool' },
      { name: 'asyncpg' },
    ]);
  });
});
