import { existsSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import type { Engine } from '../../src/postgres/engines.ts';
import type { DockerDaemon } from './docker.ts';

const DATA = '/var/lib/postgresql/data';
const USER_ID = 999;
/** What the entry point calls. */
const TOOLS = ['sh', 'id', 'mkdir', 'chown', 'chmod', 'rm', 'setpriv'];

/** As the image `postgres` of Docker's library does it: the same variables, user and place, and data that is kept. */
const ENTRY_POINT = `#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R ${USER_ID}:${USER_ID} "$PGDATA"
  chmod 700 "$PGDATA"
  exec setpriv --reuid ${USER_ID} --regid ${USER_ID} --clear-groups "$0"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile=/tmp/password -A scram-sha-256 -N -E UTF8 --locale=C
  rm /tmp/password
  echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | postgres --single -D "$PGDATA" postgres
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -c "listen_addresses=*" -c unix_socket_directories=/tmp
`;

/** Makes an image of a PostgreSQL of this machine, where none can be pulled. */
export async function importPostgres(daemon: DockerDaemon, engine: Engine, image: string): Promise<void> {
  const folder = await mkdtemp(join(daemon.folder, 'image-'));
  const root = join(folder, 'root');
  const archive = join(folder, 'root.tar');
  try {
    await makeRoot(root, engine);
    await execa('tar', ['--numeric-owner', '--owner=0', '--group=0', '-C', root, '-cf', archive, '.']);
    const changes = [
      `ENV PATH=${engine.binDir}:/bin PGDATA=${DATA} PG_MAJOR=${engine.major}`,
      `VOLUME ${DATA}`,
      'EXPOSE 5432',
      'ENTRYPOINT ["/entry-point"]',
    ];
    await daemon.docker('import', ...changes.flatMap(change => ['--change', change]), archive, image);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function makeRoot(root: string, { binDir, major }: Engine): Promise<void> {
  for (const folder of ['bin', 'etc', 'tmp']) await mkdir(join(root, folder), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await writeFile(join(root, 'etc/passwd'), `root:x:0:0::/:/bin/sh\npostgres:x:${USER_ID}:${USER_ID}::/:/bin/sh\n`);
  await writeFile(join(root, 'entry-point'), ENTRY_POINT, { mode: 0o755 });
  const home = dirname(binDir);
  // Debian has it apart.
  const shared = `/usr/share/postgresql/${major}`;
  for (const folder of [home, shared].filter(one => existsSync(one))) await copyTree(folder, join(root, folder));
  for (const tool of TOOLS) {
    const file = await programOf(tool);
    await copyFile(file, join(root, 'bin', tool));
    await copyLibraries(file, root);
  }
  for (const name of ['postgres', 'initdb']) await copyLibraries(join(binDir, name), root);
}

/** Without what the compiler at run time needs, which is larger than all the rest, and goes unmissed. */
async function copyTree(from: string, to: string): Promise<void> {
  const isWanted = async (file: string): Promise<boolean> =>
    !/^(llvmjit|bitcode|man$)/.test(basename(file)) && (await stat(file).catch(() => undefined)) !== undefined;
  await cp(from, to, { recursive: true, dereference: true, filter: isWanted });
}

const programOf = async (name: string): Promise<string> =>
  (await execa('sh', ['-c', 'command -v "$1"', 'sh', name])).stdout.trim();

/** The shared libraries of a program, and what loads them. */
async function copyLibraries(file: string, root: string): Promise<void> {
  const { stdout } = await execa('ldd', [file]);
  for (const [, library] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    const copy = join(root, library!);
    await mkdir(dirname(copy), { recursive: true });
    if (!existsSync(copy)) await copyFile(library!, copy);
  }
}
