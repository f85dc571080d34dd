import { strict as assert } from 'node:assert';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { DETECTED, detect } from '../../../src/detect/detect.ts';
import { UserError } from '../../../src/base/errors.ts';
import { CHECKOUT_FILES } from '../../../src/model/checkout.ts';
import { parseConfig } from '../../../src/model/config.ts';
import { toServiceId } from '../../../src/model/service.ts';
import { DEFAULT_PLAN_SETTINGS, loadPlan, loadPlans } from '../../../src/session/load-plan.ts';

describe('detection of a HELIX v2.0 checkout', () => {
  let root: string;

  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'helix-detect-')));
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  async function put(...files: readonly string[]): Promise<void> {
    for (const file of files) {
      await mkdir(dirname(join(root, file)), { recursive: true });
      await writeFile(join(root, file), '');
    }
  }

  const checkout = (folder = '.'): Promise<void> =>
    put(...Object.values(CHECKOUT_FILES).map(file => join(folder, file)));
  const load = (folder = root, env: NodeJS.ProcessEnv = {}) => loadPlan(folder, DEFAULT_PLAN_SETTINGS, env);

  it('finds one at the root, without a configuration', async () => {
    await checkout();
    const plan = await load();
    assert.equal(plan?.source, DETECTED);
    assert.equal(plan.workspace, root);
    assert.deepEqual(
      plan.services
        .filter(one => one.kind !== 'proxy')
        .map(one => [one.id, one.port.kind, one.readiness.kind, one.cwd]),
      [
        ['postgres', 'fixed', 'postgres', root],
        ['api', 'band', 'http', root],
        ['orchestrator', 'band', 'alive', root],
        ['worker', 'band', 'alive', root],
      ],
    );
    const api = plan.services.find(one => one.id === 'api')!;
    assert.deepEqual(api.command, [
      '${python}',
      '-m',
      'uvicorn',
      'src.api.main:app',
      '--host',
      '${host}',
      '--port',
      '${port}',
    ]);
    assert.equal(api.host, '127.0.0.1');
    assert.equal(api.env['PYTHONPATH'], '${workspaceFolder}');
  });

  it('is a configuration that a user could have written', async () => {
    await checkout();
    const { config } = (await detect(root, { PYTHONPATH: '/mine' }))!;
    const parsed = parseConfig(JSON.stringify(config));
    assert.ok(parsed.ok, JSON.stringify(parsed));
    assert.deepEqual(JSON.parse(JSON.stringify(parsed.config)), config);
  });

  it("keeps the user's own PYTHONPATH behind the checkout", async () => {
    await checkout();
    const { config } = (await detect(root, { PYTHONPATH: '/mine' }))!;
    assert.equal(config.services['worker']?.env?.['PYTHONPATH'], `\${workspaceFolder}${delimiter}\${env:PYTHONPATH}`);
  });

  it('leaves out what the checkout does not have', async () => {
    await put(CHECKOUT_FILES.api, CHECKOUT_FILES.worker);
    assert.deepEqual(
      (await load())?.services.map(one => one.id).filter(id => id !== toServiceId('proxy')),
      ['postgres', 'api', 'worker'],
    );
  });

  it('takes no other project for one', async () => {
    await put(CHECKOUT_FILES.api);
    assert.equal(await load(), undefined);
    await rm(join(root, 'src'), { recursive: true });
    await put(CHECKOUT_FILES.orchestrator, CHECKOUT_FILES.worker);
    assert.equal(await load(), undefined);
  });

  it('finds one a level below, whose folder is then the workspace', async () => {
    await checkout('backend');
    assert.equal((await load())?.workspace, join(root, 'backend'));
    await checkout('deeper/down');
    assert.deepEqual(
      (await loadPlans(root)).map(plan => plan.workspace),
      [join(root, 'backend')],
    );
  });

  it('makes a stack of each in a monorepo, and says to a command line which there are', async () => {
    await checkout('one');
    await checkout('two');
    await mkdir(join(root, 'own'));
    await writeFile(join(root, 'own/helix.config.json'), '{"services":{"x":{"command":["x"]}}}');
    await symlink(join(root, 'two'), join(root, 'alias'));
    await symlink(join(root, 'nowhere'), join(root, 'broken'));
    await checkout('node_modules');
    const plans = await loadPlans(root, DEFAULT_PLAN_SETTINGS, {});
    assert.deepEqual(
      plans.map(plan => plan.workspace).sort(),
      ['one', 'own', 'two'].map(name => join(root, name)),
    );
    await assert.rejects(load(), (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /one/);
      assert.match(error.message, /two/);
      return true;
    });
    assert.equal((await load(join(root, 'one')))?.workspace, join(root, 'one'));
  });

  it('gives way to a configuration', async () => {
    await checkout();
    await checkout('below');
    await writeFile(join(root, 'helix.config.json'), '{"services":{"x":{"command":["x"]}}}');
    const [plan, ...more] = await loadPlans(root);
    assert.deepEqual([plan!.source, more], [join(root, 'helix.config.json'), []]);
  });

  describe('its API', () => {
    const hostIn = async (file: string, env: NodeJS.ProcessEnv = {}): Promise<string | undefined> => {
      await checkout();
      await writeFile(join(root, '.env'), file);
      return (await load(root, env))?.services.find(one => one.id === 'api')?.host;
    };

    it('listens on loopback unless it is asked for more', async () => {
      assert.equal(await hostIn('API_HOST=\n'), '127.0.0.1');
      assert.equal(await hostIn('API_HOST=0.0.0.0\n'), '0.0.0.0');
      assert.equal(await hostIn('API_HOST=0.0.0.0\n', { API_HOST: '127.0.0.1' }), '127.0.0.1');
    });
  });
});
