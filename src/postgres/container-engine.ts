import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { basename, delimiter, isAbsolute, join } from 'node:path';
import { UserError } from '../base/errors.ts';

/** The first that is there is taken. They understand the same words, as far as they are said here. */
const PROGRAMS = ['docker', 'podman'] as const;
/** Where installers put them although an editor that was not started from a shell does not look there. */
const FURTHER_FOLDERS = ['/usr/local/bin', '/opt/homebrew/bin', '/opt/podman/bin', '/usr/bin'];
/** A daemon that is there answers at once; that of a virtual machine which wakes up takes a moment. */
const ANSWER_MS = 30_000;

const INSTEAD = 'or set "postgres": { "engine": "auto" } in helix.config.json, or helix.postgres.engine, to do without';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Added to this process's own: what must not be on a command line, where everybody can read it. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onOutput?: (text: string) => void;
  /** Milliseconds; 30 s without it, 0 for none. */
  readonly limitMs?: number;
  /** A signal to our process group is not for it: it is to come to its end. */
  readonly isUndisturbed?: boolean;
}

export interface CallResult {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Docker or Podman, by its command line. */
export class ContainerEngine {
  readonly name: string;

  constructor(readonly program: string) {
    this.name = basename(program).replace(/\.exe$/i, '');
  }

  /** @throws {UserError} with what to install or to set when there is none */
  static async find(env: NodeJS.ProcessEnv = process.env, further = FURTHER_FOLDERS): Promise<ContainerEngine> {
    const suffix = process.platform === 'win32' ? '.exe' : '';
    const folders = [...(env['PATH'] ?? '').split(delimiter).filter(isAbsolute), ...further];
    for (const name of PROGRAMS) {
      for (const folder of folders) {
        const file = join(folder, `${name}${suffix}`);
        if (await mayRun(file)) return new ContainerEngine(file);
      }
    }
    throw new UserError(
      `"engine": "docker" is set for PostgreSQL, and neither docker nor podman is on the PATH. Install Docker, ${INSTEAD}.`,
    );
  }

  /** Calls it once; an answer that is a refusal is an answer. */
  async call(args: readonly string[], options: CallOptions = {}): Promise<CallResult> {
    const { signal, env = {}, onOutput, limitMs = ANSWER_MS, isUndisturbed = false } = options;
    const { execa } = await import('execa');
    const child = execa(this.program, args, {
      env,
      reject: false,
      stdin: 'ignore',
      detached: isUndisturbed,
      ...(limitMs > 0 ? { timeout: limitMs } : {}),
      ...(signal ? { cancelSignal: signal } : {}),
    });
    if (onOutput)
      for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => onOutput(String(chunk)));
    const { failed, timedOut, stdout, stderr, shortMessage } = await child;
    signal?.throwIfAborted();
    const said = timedOut ? `no answer within ${limitMs / 1000} s` : stderr || (failed ? (shortMessage ?? '') : '');
    return { ok: !failed, stdout, stderr: said };
  }

  /** @throws {UserError} with the next step when its daemon does not answer this user */
  async assertReachable(signal?: AbortSignal): Promise<void> {
    const { ok, stderr } = await this.call(['ps', '--quiet'], { signal });
    if (ok) return;
    if (/permission denied/i.test(stderr)) {
      throw new UserError(
        `This user may not use ${this.name}: ${lastLine(stderr)}. Join its group (sudo usermod -aG docker "$USER", then log in anew), ${INSTEAD}.`,
      );
    }
    const start = this.name === 'podman' ? 'podman machine start' : 'Docker Desktop, or sudo systemctl start docker';
    throw new UserError(`${this.name} does not answer: ${lastLine(stderr)}. Start it (${start}), ${INSTEAD}.`);
  }
}

async function mayRun(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Said after what went wrong, and telling nothing. */
const AFTERWORD = /^((See|Run) '(docker|podman)\b|Error: failed to start containers)/;

/** What went wrong is said last; before it comes what was tried. Without the full stop. */
export function lastLine(text: string): string {
  const lines = text.split('\n').map(line => line.trim());
  const said = lines.filter(line => line !== '' && !AFTERWORD.test(line)).at(-1);
  return (said ?? 'it said nothing').replace(/^Error( response from daemon)?: /, '').replace(/\.$/, '');
}
