import assert from 'node:assert/strict';
import { chmod, cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import getPort from 'get-port';
import { identify } from '../../../src/run/processes.ts';
import { ensurePythonStack, type PythonEnvironments } from '../../support/python.ts';
import { waitFor } from '../../support/wait.ts';
import { dist, repoRoot, skip } from '../postgres/harness.ts';

interface Service {
  readonly id: string;
  readonly state: string;
  readonly port: number;
  readonly url: string | null;
  readonly pid: number;
}

/** A checkout as a user has it, without a configuration of ours, driven by the command line. */
class Checkout {
  private constructor(readonly folder: string) {}

  static async create(env: Readonly<Record<string, string>> = {}): Promise<Checkout> {
    const root = await realpath(await mkdtemp(join(tmpdir(), 'helix-checkout-')));
    // PostgreSQL does not run as root, and its other user has to get at its data.
    await chmod(root, 0o755);
    await mkdir(join(root, 'state'));
    const folder = join(root, 'helix');
    await cp(join(repoRoot, 'test/fixtures/helix-v2'), folder, { recursive: true });
    const values: Readonly<Record<string, string>> = { POSTGRES_PORT: String(await getPort()), ...env };
    const example = await readFile(join(folder, '.env.example'), 'utf8');
    const text = example.replace(/^(\w+)=.*$/gm, (line, name: string) =>
      name in values ? `${name}=${values[name]}` : line,
    );
    await writeFile(join(folder, '.env'), text);
    return new Checkout(folder);
  }

  async cli(...args: readonly string[]): Promise<{ code: number | undefined; stdout: string; stderr: string }> {
    const result = await execa(process.execPath, [join(dist, 'cli.cjs'), ...args], {
      cwd: this.folder,
      // As from a plain shell: what runs these tests may be a service of HELIX's itself.
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], HELIX_PORTS_HOME: join(this.folder, '../state') },
      extendEnv: false,
      reject: false,
      stdin: 'ignore',
    });
    return { code: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  }

  async service(id: string): Promise<Service> {
    const { stdout } = await this.cli('status', '--json');
    const { services } = JSON.parse(stdout) as { services: Service[] };
    return services.find(one => one.id === id)!;
  }

  /** Healthy again, as another process. */
  other({ id, pid }: Service): Promise<Service> {
    return waitFor(`another ${id}`, async () => {
      const now = await this.service(id);
      return now.state === 'healthy' && now.pid !== pid && now;
    });
  }

  async variables(): Promise<Record<string, string>> {
    const text = await readFile(join(this.folder, '.env.local'), 'utf8');
    return Object.fromEntries([...text.matchAll(/^(\w+)=(.*)$/gm)].map(match => [match[1]!, match[2]!]));
  }

  async dispose(): Promise<void> {
    await this.cli('stop');
    await rm(join(this.folder, '..'), { recursive: true, force: true, maxRetries: 5 });
  }
}

describe('a HELIX v2.0 checkout', function () {
  this.timeout(240_000);
  let python: PythonEnvironments;
  let checkout: Checkout;

  describe('with its packages in .venv', () => {
    before(async function () {
      const found = await ensurePythonStack();
      if (found.kind === 'missing') return skip(this, found.reason);
      python = found;
      checkout = await Checkout.create({ API_HOST: '0.0.0.0', GEMINI_API_KEY: 'not-to-be-seen' });
      await python.makeVenv(checkout.folder);
    });

    after(() => checkout?.dispose());

    it('starts from the command line without any configuration, and says once that others can reach it', async () => {
      const { code, stdout, stderr } = await checkout.cli('start', '--detach');
      assert.equal(code, 0, stderr);
      assert.deepEqual(
        stdout
          .split('\n')
          .map(line => line.replace(/\d+$/, 'PORT'))
          .sort(),
        [
          'api  healthy  http://127.0.0.1:PORT',
          'orchestrator  healthy  PORT',
          'postgres  healthy  PORT',
          'proxy  healthy  http://127.0.0.1:PORT',
          'worker  healthy  PORT',
        ],
      );
      assert.equal(stderr.match(/API listens on 0\.0\.0\.0/g)?.length, 1, stderr);
      assert.match((await checkout.cli('logs', 'api')).stdout, /Uvicorn running on http:\/\/0\.0\.0\.0:80\d\d/);
    });

    it('answers as HELIX: health, docs, its page', async () => {
      const { url } = await checkout.service('api');
      const health = (await (await fetch(`${url}/api/v1/health`)).json()) as { status: string; components: object };
      assert.equal(health.status, 'healthy');
      assert.deepEqual(health.components, { database: 'healthy', api: 'healthy' });
      assert.match(await (await fetch(`${url}/docs`)).text(), /<title>HELIX - Swagger UI<\/title>/);
      assert.match(await (await fetch(`${url}/`)).text(), /<h1>HELIX<\/h1>/);
    });

    it('brings a job through orchestrator, worker and database', () => job());

    it('publishes every port in .env.local', async () => {
      const variables = await checkout.variables();
      // The address that stays, whatever the API's own port.
      assert.equal(variables['HELIX_API_URL'], (await checkout.service('proxy')).url);
      assert.equal((await fetch(`${variables['HELIX_API_URL']}/api/v1/health`)).status, 200);
      assert.equal(variables['API_HOST'], '0.0.0.0');
      for (const [id, name] of [
        ['api', 'API_PORT'],
        ['orchestrator', 'ORCHESTRATOR_PORT'],
        ['worker', 'WORKER_PORT'],
        ['postgres', 'POSTGRES_PORT'],
      ] as const) {
        assert.equal(variables[name], String((await checkout.service(id)).port), name);
      }
    });

    it("lets pages of its own origins and the user's call the API, and no others", async () => {
      const { url, port } = await checkout.service('api');
      const allowed = async (origin: string): Promise<string | null> =>
        (await fetch(`${url}/api/v1/health`, { headers: { origin } })).headers.get('access-control-allow-origin');
      for (const origin of [`http://localhost:${port}`, `http://127.0.0.1:${port}`, 'http://localhost:3000'])
        assert.equal(await allowed(origin), origin);
      assert.equal(await allowed(`http://localhost:${port + 1}`), null);
    });

    it('tells where each variable of a service comes from, and no secret', async () => {
      const { port } = await checkout.service('api');
      const { stdout, stderr } = await checkout.cli('env', '--effective', 'api');
      assert.equal(stderr, '');
      for (const line of [
        new RegExp(`^API_PORT=${port} +# allocated$`, 'm'),
        new RegExp(
          `^ALLOWED_ORIGINS=http://localhost:3000,\\S*http://127\\.0\\.0\\.1:${port}\\b\\S* +# allocated$`,
          'm',
        ),
        /^API_HOST=0\.0\.0\.0 +# \.env line \d+$/m,
        /^POSTGRES_PASSWORD=\*+ +# \.env line \d+$/m,
        /^GEMINI_API_KEY=\*+ +# \.env line \d+$/m,
        /^PYTHONUNBUFFERED=1 +# default$/m,
        /^PATH=.* # process$/m,
      ])
        assert.match(stdout, line);
      assert.doesNotMatch(stdout, /not-to-be-seen|helix_secure/);
      const all = JSON.parse((await checkout.cli('env', '-e', '--json')).stdout) as { service: string }[];
      assert.deepEqual(all.map(one => one.service).sort(), ['api', 'orchestrator', 'postgres', 'proxy', 'worker']);
    });

    it('restarts on the same port', async () => {
      const before = await checkout.service('api');
      const { code, stderr } = await checkout.cli('restart', 'api');
      assert.equal(code, 0, stderr);
      const after = await checkout.other(before);
      assert.equal(after.port, before.port);
      assert.equal(await identify(before.pid), undefined);
    });

    it('comes back after kill -9, and goes on working', async () => {
      for (const id of ['api', 'orchestrator', 'worker']) {
        const before = await checkout.service(id);
        process.kill(before.pid, 'SIGKILL');
        assert.equal((await checkout.other(before)).port, before.port);
      }
      await job();
    });

    it('stops, and takes back what it published', async () => {
      const pids = await Promise.all(
        ['api', 'orchestrator', 'worker'].map(async id => (await checkout.service(id)).pid),
      );
      assert.equal((await checkout.cli('stop')).code, 0);
      assert.deepEqual(await checkout.variables(), {});
      for (const pid of pids) assert.equal(await identify(pid), undefined);
    });

    async function job(): Promise<void> {
      const { url } = await checkout.service('api');
      const created = await fetch(`${url}/api/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ request: 'a page for a bakery' }),
      });
      const { id } = (await created.json()) as { id: string };
      const result = await waitFor('the result', async () => {
        const answer = await fetch(`${url}/api/v1/jobs/${id}/result`);
        return answer.status === 200 && ((await answer.json()) as { html: string });
      });
      assert.match(result.html, /<h1>a page for a bakery<\/h1>/);
    }
  });

  describe('without its packages', () => {
    before(async function () {
      const found = await ensurePythonStack();
      if (found.kind === 'missing') return skip(this, found.reason);
      python = found;
      checkout = await Checkout.create();
    });

    after(() => checkout?.dispose());

    it('says how to install them into that very interpreter, which then starts it', async () => {
      const interpreter = await python.makeBareVenv(checkout.folder);
      const failed = await checkout.cli('start', '--detach');
      assert.equal(failed.code, 1);
      const command = `${interpreter} -m pip install -r requirements.txt`;
      assert.equal(failed.stderr.split(command).length, 2, failed.stderr);
      assert.match(failed.stderr, /Python misses (uvicorn|asyncpg)/);
      const [program, ...args] = command.split(' ');
      await execa(program!, args, { cwd: checkout.folder });
      const { code, stderr } = await checkout.cli('start', '--detach');
      assert.equal(code, 0, stderr);
    });
  });
});
