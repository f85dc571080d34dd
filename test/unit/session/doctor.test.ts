import { strict as assert } from 'node:assert';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../../../src/base/errors.ts';
import { type Finding, findingsMarkdown, findingsText, hasErrors } from '../../../src/model/finding.ts';
import type { Interpreter } from '../../../src/model/python.ts';
import { applyBlock } from '../../../src/publish/env-block.ts';
import { addToGitignore, gitStateOf } from '../../../src/publish/git-ignore.ts';
import { identify, isSame } from '../../../src/run/processes.ts';
import { diagnose } from '../../../src/session/doctor.ts';
import { requirementsIn } from '../../../src/session/doctor-python.ts';
import { ignoreAdvice } from '../../../src/session/ignore-advice.ts';
import type { PythonProvider } from '../../../src/session/outcomes.ts';
import { finished, type Finished, repository } from '../../chaos/lab.ts';
import { waitFor } from '../../support/wait.ts';
import { Cleanup, freeBand } from '../run/harness.ts';
import { snapshotOf, World } from './harness.ts';

const run = promisify(execFile);

describe('doctor', function () {
  this.timeout(120_000);
  const cleanup = new Cleanup();
  let world: World;
  let folder = '';

  beforeEach(async () => {
    world = await World.make(cleanup);
    folder = world.workspace;
  });
  afterEach(() => cleanup.run());

  const configure = (config: object): Promise<void> =>
    writeFile(join(folder, 'helix.config.json'), JSON.stringify(config));
  const api = { command: ['run'] };
  const noPython: PythonProvider = () => Promise.reject(new UserError('No Python was found.'));

  async function findings(python: PythonProvider = noPython): Promise<readonly Finding[]> {
    return diagnose({ folder, embeddedRoots: [], env: { PATH: process.env['PATH'] }, python });
  }

  /** The findings that begin with this id, each with its severity. */
  async function found(id: string, python?: PythonProvider): Promise<readonly Finding[]> {
    return (await findings(python)).filter(one => one.id.startsWith(id));
  }

  async function only(id: string, python?: PythonProvider): Promise<Finding> {
    const [first, ...others] = await found(id, python);
    assert.ok(first, `a finding ${id}`);
    assert.deepEqual(others, []);
    assert.ok(first.severity === 'ok' || first.advice.length > 0, 'what to do is told');
    return first;
  }

  async function listening(): Promise<number> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanup.add(() => new Promise(resolve => server.close(resolve)));
    return (server.address() as { port: number }).port;
  }

  it('says that there is no HELIX, and where a configuration is wrong', async () => {
    assert.match((await only('config')).message, /no HELIX in .*helix\.config\.json/);
    await writeFile(join(folder, 'helix.config.json'), '{\n "services": {} }');
    const { severity, message } = await only('config');
    assert.equal(severity, 'error');
    assert.match(message, /helix\.config\.json:2:14: services is empty/);
  });

  it('tells how full the bands are, and who is in them', async () => {
    const port = await listening();
    await configure({ services: { api, tool: { command: ['x'], port: { from: port, to: port } } } });
    const bands = new Map((await found('band.')).map(one => [one.id, one]));
    assert.deepEqual([...bands.keys()].sort(), [
      'band.api',
      'band.orchestrator',
      'band.proxy',
      'band.tool',
      'band.worker',
    ]);
    const full = bands.get('band.tool')!;
    assert.equal(full.severity, 'error');
    assert.match(full.message, new RegExp(`${port}-${port}: 1 of 1 in use \\(${port}: pid ${process.pid} `));
    assert.match(full.advice, new RegExp(`"from": ${port}, "to": \\d+`));
  });

  describe('PostgreSQL', () => {
    const services = { postgres: { type: 'postgres' } };

    it('without a password', async () => {
      await configure({ services });
      const { severity, message } = await only('postgres');
      assert.equal(severity, 'error');
      assert.match(message, /POSTGRES_PASSWORD is empty/);
    });

    it('on a port that something else has', async () => {
      const server = createServer(socket => socket.end('no')).listen(0, '127.0.0.1');
      await once(server, 'listening');
      cleanup.add(() => server.close());
      const { port } = server.address() as { port: number };
      await writeFile(join(folder, '.env'), `POSTGRES_PORT=${port}\nPOSTGRES_PASSWORD=secret\n`);
      await configure({ services });
      const { severity, message, advice } = await only('postgres');
      assert.equal(severity, 'error');
      assert.match(message, new RegExp(`${port} is taken by a program that is not PostgreSQL: pid ${process.pid}`));
      assert.match(advice, /POSTGRES_PORT/);
      assert.doesNotMatch(JSON.stringify(await findings()), /secret/);
    });
  });

  describe('Python', () => {
    const services = { api: { ...api, command: ['${python}', '-m', 'uvicorn', 'src.api.main:app'] } };

    /** A program in the place of an interpreter: any `-c` is answered with these lines. */
    async function interpreter(missing: readonly string[]): Promise<Interpreter> {
      const path = join(folder, 'python');
      const says = missing.map(name => `echo ${name}`).join('; ') || ':';
      await writeFile(path, `#!/bin/sh\nif [ "$1" = --version ]; then echo Python 3.99.1; else ${says}; fi\n`);
      await chmod(path, 0o755);
      return { path, source: 'a test', manager: 'pip', isExternallyManaged: false };
    }

    it('that is missing, or does not run', async () => {
      await configure({ services });
      assert.match((await only('interpreter')).message, /No Python was found/);
      const broken = {
        path: join(folder, 'nothing'),
        source: 'x',
        manager: 'pip',
        isExternallyManaged: false,
      } as const;
      assert.match((await only('interpreter', () => Promise.resolve(broken))).message, /does not run/);
    });

    it('with its version and where it comes from', async function () {
      if (process.platform === 'win32') return this.skip();
      await configure({ services });
      const found = await interpreter([]);
      const { severity, message } = await only('interpreter', () => Promise.resolve(found));
      assert.deepEqual([severity, message], ['ok', `Python 3.99.1 at ${found.path} (a test).`]);
      assert.equal((await only('packages', () => Promise.resolve(found))).severity, 'ok');
    });

    it('without the packages that are asked for', async function () {
      if (process.platform === 'win32') return this.skip();
      await configure({ services });
      const found = await interpreter(['uvicorn']);
      const module = await only('packages', () => Promise.resolve(found));
      assert.equal(module.severity, 'error');
      assert.match(module.message, /lacks uvicorn\./);
      assert.match(module.advice, /^Run in .*: .*-m pip install uvicorn$/);
      await writeFile(join(folder, 'requirements.txt'), 'uvicorn>=0.20\n');
      assert.match((await only('packages', () => Promise.resolve(found))).advice, /install -r requirements\.txt/);
    });

    it('asks a real interpreter for real packages', async function () {
      const path = await run('python3', ['-c', 'import sys; print(sys.executable)']).catch(() => undefined);
      if (!path) return this.skip();
      await configure({ services });
      await writeFile(join(folder, 'requirements.txt'), '# none\nno-such-package-anywhere[extra]~=1.0  # really\n');
      const real = { path: path.stdout.trim(), source: 'PATH', manager: 'pip', isExternallyManaged: false } as const;
      assert.match((await only('packages', () => Promise.resolve(real))).message, /lacks no-such-package-anywhere\./);
    });

    it('reads a requirements file', () => {
      const text =
        'a\r\nB_c.d==1 # x\n-r more.txt\n--hash=x\n./local\nhttps://x/y.whl\ne[f,g]>=1,<2\nw; sys_platform=="win32"\n\nh @ file:///x\n';
      assert.deepEqual(requirementsIn(text), ['a', 'B_c.d', 'e']);
    });
  });

  describe('.env', () => {
    beforeEach(() => configure({ services: { api }, publish: { envFile: false } }));

    it('that is not there, or fine', async () => {
      assert.equal((await only('env')).severity, 'ok');
      await writeFile(join(folder, '.env'), 'API_PORT=\nSECRET="API_PORT=8000\nAPI_PORT=8001"\n');
      assert.equal((await only('env')).severity, 'ok');
    });

    it('with a fixed port, a name twice, and what cannot be read', async () => {
      await writeFile(join(folder, '.env'), 'A=1\nAPI_PORT=8000\nA=2\nexport A=3\n');
      const fixed = await only('env-hard-coded-port');
      assert.match(fixed.message, /\.env:2:1: API_PORT/);
      const twice = await only('env-duplicate');
      assert.match(twice.message, /\.env:4:8: A is there 3 times, in lines 1, 3, 4; the last one counts/);
      await writeFile(join(folder, '.env'), 'A=\0\n');
      const unreadable = await only('config');
      assert.equal(unreadable.severity, 'error');
      assert.match(unreadable.message, /\.env:1:3: /);
    });
  });

  describe('.env.local', () => {
    const git = (...args: readonly string[]): Promise<unknown> =>
      run('git', ['-C', folder, '-c', 'user.name=x', '-c', 'user.email=x@y', ...args]);

    beforeEach(async function () {
      await configure({ services: { api } });
      await git('--version').catch(() => this.skip());
    });

    it('outside a repository', async () => {
      assert.equal((await only('env-local')).severity, 'ok');
    });

    it('not ignored, ignored after it is added, and committed', async () => {
      const file = join(folder, '.env.local');
      await git('init', '-q');
      const warning = await only('env-local');
      assert.deepEqual([warning.id, warning.severity], ['env-local-not-ignored', 'warning']);
      await writeFile(join(folder, '.gitignore'), 'node_modules\r\ndist');
      await addToGitignore(file);
      await addToGitignore(file);
      assert.equal(await readFile(join(folder, '.gitignore'), 'utf8'), 'node_modules\r\ndist\r\n/.env.local\r\n');
      assert.equal((await only('env-local')).id, 'env-local-ignored');
      await writeFile(file, 'A=1\n');
      await git('add', '-f', '.env.local');
      const tracked = await only('env-local');
      assert.equal(tracked.id, 'env-local-tracked');
      assert.match(tracked.advice, /git rm --cached \.env\.local/);
    });

    it('is mentioned once, by whoever is first', async () => {
      const file = join(folder, '.env.local');
      assert.equal(await ignoreAdvice(world.dir, file), undefined, 'no repository');
      await git('init', '-q');
      const [one, two] = await Promise.all([ignoreAdvice(world.dir, file), ignoreAdvice(world.dir, file)]);
      assert.equal([one, two].filter(Boolean).length, 1);
      assert.match(one ?? two ?? '', /^\.env\.local is not ignored by git/);
      assert.equal(await ignoreAdvice(world.dir, file), undefined);
      assert.ok(await ignoreAdvice(join(world.dir, 'missing'), file), 'again, where that cannot be kept');
      assert.equal(await gitStateOf(file), 'notIgnored');
      await writeFile(join(folder, '.gitignore'), '');
      await addToGitignore(file);
      assert.equal(await gitStateOf(file), 'ignored');
    });
  });

  describe('the proxy’s port', () => {
    it('free, or nobody’s business', async () => {
      await configure({ services: { api }, proxy: { enabled: false } });
      assert.deepEqual(await found('proxy-port'), []);
      await configure({ services: { api }, proxy: { enabled: true, port: (await freeBand(1)).from } });
      assert.equal((await only('proxy-port')).severity, 'ok');
    });

    it('taken', async () => {
      const port = await listening();
      await configure({ services: { api }, proxy: { enabled: true, port } });
      const loose = await only('proxy-port');
      assert.equal(loose.severity, 'warning');
      assert.match(loose.message, new RegExp(`${port} is taken by pid ${process.pid} .*takes one of 8300-8399`));
      await configure({ services: { api }, proxy: { enabled: true, port, strict: true } });
      assert.equal((await only('proxy-port')).severity, 'error');
    });
  });

  it('finds what a crashed run left behind', async () => {
    await configure({ services: { api } });
    assert.equal((await only('leftover')).severity, 'ok');
    const id = world.service('api');
    const stack = world.stack();
    assert.equal((await stack.start()).kind, 'started');
    assert.equal((await only('leftover')).severity, 'ok', 'a stack that runs has left nothing behind');
    const { supervisorPid, pid } = snapshotOf(stack, id);
    const [supervisor, child] = await Promise.all([identify(supervisorPid!), identify(pid!)]);
    // Both at once: a service notices the end of its supervisor.
    process.kill(pid!, 'SIGSTOP');
    process.kill(supervisorPid!, 'SIGKILL');
    await waitFor('the supervisor to be gone', async () => !(await isSame(supervisor!)));
    const process_ = await only('leftover');
    assert.equal(process_.id, 'leftover-process');
    assert.match(process_.message, new RegExp(`api still runs \\(pid ${pid}\\)`));
    process.kill(pid!, 'SIGKILL');
    await waitFor('the service to be gone', async () => !(await isSame(child!)));
    assert.equal((await only('leftover')).id, 'leftover-record');
    await writeFile(join(folder, '.env.local'), applyBlock(undefined, new Map([['API_PORT', '1']])).content);
    assert.match((await only('leftover-publication')).message, /tells API_PORT, and nothing runs/);
  });

  it('tells where nothing can be kept, which keeps all services from starting', async function () {
    if (process.platform === 'win32') return this.skip();
    await configure({ services: { api } });
    assert.match((await only('state-folder')).message, new RegExp(`is kept in ${world.dir}`));
    const home = process.env['HELIX_PORTS_HOME'];
    cleanup.add(() => void (process.env['HELIX_PORTS_HOME'] = home));
    process.env['HELIX_PORTS_HOME'] = '/dev/null';
    const { severity, message } = await only('state-folder');
    assert.equal(severity, 'error');
    assert.match(message, /cannot be kept: The folder .* cannot be made/);
  });

  it('prints the worst first, for people, for programs and for the editor', () => {
    const all: Finding[] = [
      { id: 'a', severity: 'ok', message: 'Fine.', advice: '' },
      { id: 'b', severity: 'warning', message: 'So [so](command:x).', advice: 'Look.' },
      { id: 'c', severity: 'error', message: 'Bad.', advice: 'Mend *it*.' },
    ];
    assert.equal(
      findingsText('/w', all),
      '/w: 1 error, 1 warning\n\nERROR    Bad.\n         → Mend *it*.\nWARNING  So [so](command:x).\n         → Look.\nok       Fine.',
    );
    assert.equal(findingsText('/w', []).split('\n')[0], '/w: nothing wrong');
    assert.match(
      findingsMarkdown('/w', all),
      /\*\*WARNING\*\* So \\\[so\\\]\(command:x\)\. \(b\)\n {2}What to do: Look\./,
    );
    assert.deepEqual([hasErrors(all), hasErrors(all.slice(0, 2))], [true, false]);
  });

  it('ends with 0 or 1 on the command line, and tells all as JSON', async () => {
    const cli = (...args: readonly string[]): Promise<Finished> =>
      finished(
        spawn(process.execPath, [join(repository, 'dist/cli.cjs'), 'doctor', ...args], {
          cwd: folder,
          stdio: ['ignore', 'pipe', 'pipe'],
        }),
      );
    const bad = await cli();
    assert.equal(bad.code, 1, bad.stderr);
    assert.match(bad.stdout, /^ERROR {4}There is no HELIX/m);
    await mkdir(join(folder, 'sub'));
    await configure({ services: { api } });
    const good = await cli('--json');
    assert.equal(good.code, 0, good.stdout);
    const { workspace, findings } = JSON.parse(good.stdout) as { workspace: string; findings: Finding[] };
    assert.equal(workspace, folder);
    assert.ok(findings.some(one => one.id === 'config' && one.severity === 'ok'));
  });
});
