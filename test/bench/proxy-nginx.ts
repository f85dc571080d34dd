import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { waitForPort } from './proxy-processes.ts';
import type { Scope } from './scope.ts';

const run = promisify(execFile);

/** nginx on PATH, or Debian's own unpacked into a folder that goes with the bench; a reason where there is neither. */
export async function findNginx(scope: Scope): Promise<{ program: string } | { missing: string }> {
  try {
    await run('nginx', ['-v']);
    return { program: 'nginx' };
  } catch {
    // Fetched below.
  }
  try {
    const folder = await scope.folder('nginx');
    await run('apt-get', ['download', 'nginx'], { cwd: folder });
    await run('sh', ['-c', 'dpkg-deb -x nginx_*.deb .'], { cwd: folder });
    const program = join(folder, 'usr/sbin/nginx');
    await run(program, ['-v']);
    return { program };
  } catch (error) {
    return {
      missing: `nginx is not on PATH, and apt-get could not fetch it (${(error as Error).message.split('\n')[0]})`,
    };
  }
}

const configuration = (folder: string, port: number, target: number): string => `
worker_processes 1;
daemon off;
pid ${folder}/pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
  uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  keepalive_requests 1000000000;
  upstream api { server 127.0.0.1:${target}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
    }
  }
}
`;

export async function nginxCommand(
  scope: Scope,
  program: string,
  target: number,
): Promise<{ command: string[]; port: number; ready: () => Promise<void> }> {
  const folder = await scope.folder('nginx-prefix');
  await mkdir(join(folder, 'logs'), { recursive: true });
  const port = await getPort({ host: '127.0.0.1' });
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, port, target));
  const command = [program, '-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')];
  return { command, port, ready: () => waitForPort(port) };
}
