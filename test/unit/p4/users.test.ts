import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmod, chown, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { realWorkspace, stackKey } from '../../../src/run/runtime-dir.ts';
import { finished, type Finished, repository, type Row } from '../../chaos/lab.ts';
import { processes } from '../../chaos/proc.ts';
import { Cleanup, freeBand, HEALTH, SERVICES } from '../run/harness.ts';

/** Ids without a name on any machine, as containers give them. */
const [ADA, BEN] = [54_321, 54_322] as const;

/** Only root can make processes of other users. */
const canBe = (uid: number): boolean =>
  process.platform === 'linux' &&
  process.getuid!() === 0 &&
  spawnSync(process.execPath, ['-e', '0'], { uid, gid: uid, cwd: '/' }).status === 0;

describe('two users on one machine', function () {
  this.timeout(240_000);
  const cleanup = new Cleanup();
  let root = '';

  beforeEach(async function () {
    if (!canBe(ADA) || !canBe(BEN)) return this.skip();
    root = await cleanup.folder();
    // The checkout may lie where only its owner may look.
    await chmod(root, 0o755);
    await cp(join(repository, 'dist'), join(root, 'dist'), { recursive: true });
    const { from, to } = await freeBand(3);
    for (const uid of [ADA, BEN]) await workspaceOf(uid, { from, to });
    cleanup.add(() => {
      for (const { pid, environment } of processes()) {
        if (environment.some(entry => entry.startsWith(`HELIX_PORTS_HOME=${root}/`))) process.kill(pid, 'SIGKILL');
      }
    });
  });

  afterEach(() => cleanup.run());

  const folderOf = (uid: number): string => join(root, `workspace-${uid}`);
  const homeOf = (uid: number): string => join(root, `home-${uid}`);

  async function workspaceOf(uid: number, port: { from: number; to: number }): Promise<void> {
    const api = {
      command: ['${node}', '-e', SERVICES.http],
      env: { PORT: '${port}' },
      port,
      readiness: { http: HEALTH.path, expect: HEALTH.expect },
    };
    for (const folder of [folderOf(uid), homeOf(uid)]) {
      await mkdir(folder);
      await chown(folder, uid, uid);
    }
    const config = { services: { api }, proxy: { enabled: false } };
    await writeFile(join(folderOf(uid), 'helix.config.json'), JSON.stringify(config));
  }

  function cli(uid: number, args: readonly string[], home = homeOf(uid)): Promise<Finished> {
    const child = spawn(process.execPath, [join(root, 'dist/cli.cjs'), ...args], {
      uid,
      gid: uid,
      cwd: folderOf(uid),
      env: { PATH: process.env['PATH'], HOME: homeOf(uid), HELIX_PORTS_HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return finished(child);
  }

  async function api(uid: number): Promise<Row> {
    const { code, stdout, stderr } = await cli(uid, ['status', '--json']);
    assert.equal(code, 0, stderr);
    return (JSON.parse(stdout) as { services: Row[] }).services[0]!;
  }

  it('make two stacks on different ports, and neither can stop the other’s', async () => {
    const starts = await Promise.all([ADA, BEN].map(uid => cli(uid, ['start', '--detach'])));
    for (const { code, stderr } of starts) assert.equal(code, 0, stderr);
    const [ada, ben] = [await api(ADA), await api(BEN)];
    assert.deepEqual([ada.state, ben.state], ['healthy', 'healthy']);
    assert.notEqual(ada.port, ben.port);
    const published = await readFile(join(folderOf(ADA), '.env.local'), 'utf8');
    // In his own folder, in hers, and with her state folder.
    assert.equal((await cli(BEN, ['stop'])).code, 0);
    await cli(BEN, ['stop', '--folder', folderOf(ADA)]);
    const refused = await cli(BEN, ['stop', '--folder', folderOf(ADA)], homeOf(ADA));
    assert.equal(refused.code, 1, refused.stderr);
    assert.deepEqual(await api(ADA), ada);
    assert.equal((await api(BEN)).state, 'stopped');
    assert.equal((await fetch(`${ada.url}${HEALTH.path}`)).status, 200);
    assert.equal(await readFile(join(folderOf(ADA), '.env.local'), 'utf8'), published);
    assert.equal((await cli(ADA, ['stop'])).code, 0);
  });

  it('do not trust each other’s folders: one in the place of one’s own is refused', async () => {
    const planted = join(homeOf(BEN), stackKey(realWorkspace(folderOf(BEN))));
    await mkdir(planted, { mode: 0o777 });
    await chown(planted, ADA, ADA);
    const { code, stdout, stderr } = await cli(BEN, ['start', '--detach']);
    assert.equal(code, 1, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, new RegExp(`${planted} belongs to somebody else. Remove it, or set HELIX_PORTS_HOME`));
    assert.doesNotMatch(stderr, / at .*\(/, 'no stack trace');
  });
});
