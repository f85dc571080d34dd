import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { chmod, mkdtemp, open, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { messageOf } from '../../src/base/errors.ts';
import { unpackDebian } from './debian.ts';
import { ensureFolder } from './npm.ts';
import { cacheDir } from './paths.ts';
import { processTree } from './process-tree.ts';
import { waitFor } from './wait.ts';

const DEBIAN_PACKAGES = ['docker.io', 'containerd', 'runc', 'libdevmapper1.02.1'];
/** Of util-linux and iproute2, which every Debian has. */
const TOOLS = ['setpriv', 'unshare', 'nsenter', 'ip', 'mount'];
const READY_MS = 30_000;
const STOP_MS = 30_000;
const CGROUPS = '/sys/fs/cgroup';

/** A real Docker with its daemon, or why there is none here. */
export type DockerForTests = DockerDaemon | { readonly missing: string };

/** Starts a daemon of the test's own; whoever gets one ends it with `stop`. */
export async function startDocker(): Promise<DockerForTests> {
  if (process.platform !== 'linux') return { missing: 'a Docker daemon of its own needs Linux' };
  if (process.getuid?.() !== 0) return { missing: 'only root can start a Docker daemon' };
  for (const tool of TOOLS) {
    if (!(await works(tool, ['--version'])) && !(await works(tool, ['-V']))) return { missing: `there is no ${tool}` };
  }
  const programs = join(cacheDir(), `docker-${process.arch}`);
  try {
    await ensureFolder(programs, fromDebian);
  } catch (error) {
    return { missing: `Docker cannot be had: ${messageOf(error).split('\n')[0]}` };
  }
  return DockerDaemon.start(programs);
}

async function fromDebian(folder: string): Promise<void> {
  console.log("Docker: downloading Debian's packages (about 65 MB, once) ...");
  await unpackDebian(folder, DEBIAN_PACKAGES);
  await execa(join(folder, 'usr/sbin/dockerd'), ['--version'], { env: environmentOf(folder) });
}

const works = (program: string, args: readonly string[]): Promise<boolean> =>
  execa(program, args, { stdin: 'ignore' }).then(
    () => true,
    () => false,
  );

/** Its programs come before the machine's own. */
function environmentOf(programs: string): { readonly PATH: string; readonly LD_LIBRARY_PATH: string } {
  const places = ['lib', 'usr/lib'].map(one => join(programs, one)).filter(one => existsSync(one));
  const libraries = places.flatMap(foldersIn).filter(one => one.includes('-linux-'));
  return {
    PATH: [join(programs, 'usr/sbin'), join(programs, 'usr/bin'), process.env['PATH']].join(':'),
    LD_LIBRARY_PATH: libraries.join(':'),
  };
}

/**
 * A daemon in name spaces of its own: of network, so that its bridge and the ports it publishes are not the machine's;
 * of mounts and processes, so that all it has mounted and started is gone with it, even when the tests are killed.
 */
export class DockerDaemon {
  private readonly onExit = (): void => this.discard();

  private constructor(
    private readonly programs: string,
    /** All its files. */
    readonly folder: string,
    private readonly child: ChildProcess,
  ) {
    process.once('exit', this.onExit);
  }

  static async start(programs: string): Promise<DockerForTests> {
    const folder = await mkdtemp(join(tmpdir(), 'helix-docker-'));
    // The users of its containers have to get at their data.
    await chmod(folder, 0o711);
    await writeFile(join(folder, 'daemon.json'), '{}');
    const log = await open(join(folder, 'log'), 'w');
    const inside = 'ip link set lo up && mount -t tmpfs tmpfs /run && exec dockerd "$@"';
    const child = spawn(
      'setpriv',
      [
        // It ends with this process, and with it all that is in its name space.
        ...['--pdeathsig', 'KILL', 'unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
        ...['sh', '-c', inside, 'dockerd', ...daemonArguments(folder)],
      ],
      { env: { ...process.env, ...environmentOf(programs) }, stdio: ['ignore', log.fd, log.fd] },
    );
    await log.close();
    const daemon = new DockerDaemon(programs, folder, child);
    if (await daemon.isReady()) return daemon;
    const said = (await readFile(join(folder, 'log'), 'utf8')).trim().split('\n').at(-1);
    await daemon.stop();
    return { missing: `its daemon does not start here: ${said}` };
  }

  private async isReady(): Promise<boolean> {
    const answers = async (): Promise<'ended' | boolean> => {
      if (!this.isRunning) return 'ended';
      return !(await execa('docker', ['version'], { env: this.env, reject: false })).failed;
    };
    const state = await waitFor('the Docker daemon', answers, { timeout: READY_MS }).catch(() => false);
    return state === true;
  }

  private get isRunning(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** For programs that are to use it. Only in its name space can they reach what its containers publish. */
  get env(): { readonly PATH: string; readonly DOCKER_HOST: string } {
    return { PATH: environmentOf(this.programs).PATH, DOCKER_HOST: `unix://${join(this.folder, 'docker.sock')}` };
  }

  /** The command line by which a program runs in its network. */
  inside(program: string, args: readonly string[]): readonly [program: string, args: readonly string[]] {
    return ['nsenter', [`--net=/proc/${this.child.pid}/ns/net`, program, ...args]];
  }

  /** Its command line; the answer is what it prints. */
  async docker(...args: readonly string[]): Promise<string> {
    return (await execa('docker', args, { env: this.env, stdin: 'ignore' })).stdout;
  }

  /** Ends it and its containers, and removes what it leaves. */
  async stop(): Promise<void> {
    if (this.isRunning) {
      const ended = once(this.child, 'exit');
      // `unshare` takes no signals for the daemon, which is its child.
      const own = (await processTree(this.child.pid!)).filter(one => one.parent === this.child.pid);
      for (const { pid } of own) process.kill(pid, 'SIGTERM');
      const limit = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(limit);
    }
    process.removeListener('exit', this.onExit);
    this.discard();
  }

  private discard(): void {
    this.child.kill('SIGKILL');
    for (const group of this.controlGroups()) removeGroup(group);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Those that it has made: one, or with version 1 one of each kind. */
  controlGroups(): readonly string[] {
    const name = basename(this.folder);
    const parents = existsSync(CGROUPS) ? [CGROUPS, ...foldersIn(CGROUPS)] : [];
    return parents.map(parent => join(parent, name)).filter(group => existsSync(group));
  }
}

const daemonArguments = (folder: string): readonly string[] => [
  ...['--host', `unix://${join(folder, 'docker.sock')}`],
  ...['--config-file', join(folder, 'daemon.json')],
  ...['--data-root', join(folder, 'data')],
  ...['--exec-root', join(folder, 'exec')],
  ...['--pidfile', join(folder, 'docker.pid')],
  ...['--cgroup-parent', `/${basename(folder)}`],
  // Nothing is to go from its containers to the world, and a program of its own passes on what comes in.
  ...['--iptables=false', '--ip6tables=false'],
];

const foldersIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? join(folder, entry.name) : []));

/** The kernel's files in it are gone with it. One that has not yet let go of its last process stays, empty. */
function removeGroup(group: string): void {
  try {
    for (const inner of foldersIn(group)) removeGroup(inner);
    rmdirSync(group);
  } catch {
    // Nothing depends on it.
  }
}
