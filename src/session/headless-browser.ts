import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { delay, within } from '../base/async.ts';
import { UserError } from '../base/errors.ts';

/** An installed Chrome, Chromium or Edge: the one that CHROME_PATH or CHROMIUM_PATH names, else one where they usually are. */
export function findBrowser(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env['CHROME_PATH'] || env['CHROMIUM_PATH'];
  return [...(named ? [named] : []), ...usualPlaces(env)].find(path => existsSync(path));
}

function usualPlaces(env: NodeJS.ProcessEnv): string[] {
  switch (process.platform) {
    case 'darwin':
      return ['Google Chrome', 'Chromium', 'Microsoft Edge'].map(
        name => `/Applications/${name}.app/Contents/MacOS/${name}`,
      );
    case 'win32':
      return [env['PROGRAMFILES'], env['PROGRAMFILES(X86)'], env['LOCALAPPDATA']].flatMap(folder =>
        folder
          ? ['Google\\Chrome\\Application\\chrome.exe', 'Microsoft\\Edge\\Application\\msedge.exe'].map(file =>
              join(folder, file),
            )
          : [],
      );
    default:
      return ['google-chrome', 'google-chrome-stable', 'chromium', 'chromium-browser', 'microsoft-edge'].flatMap(name =>
        ['/usr/bin', '/usr/local/bin', '/snap/bin'].map(folder => join(folder, name)),
      );
  }
}

const FLAGS = [
  '--headless',
  '--remote-debugging-pipe',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--no-default-browser-check',
];

/** A browser that starts on a busy machine. */
const LOAD_MS = 30_000;

/** Evaluates an expression in the page, awaits it, and answers its value as plain data. */
export type Evaluate = (expression: string) => Promise<unknown>;

/** Opens an address in a browser with an empty profile, and ends it whatever happens. */
export async function withBrowserPage<T>(
  program: string,
  url: string,
  task: (evaluate: Evaluate) => Promise<T>,
): Promise<T> {
  const profile = await mkdtemp(join(tmpdir(), 'helix-browser-'));
  // As root, as in containers, Chrome's sandbox refuses to start; it is only our own workspace's page that is shown.
  const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const args = [...FLAGS, ...asRoot, `--user-data-dir=${profile}`, 'about:blank'];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit').catch(() => undefined);
  try {
    const devtools = new Devtools(child, program);
    const page = await within(LOAD_MS, openPage(devtools, url));
    if (!page) throw new UserError(`${program} did not open ${url} within ${LOAD_MS / 1000} s.`);
    return await task(page);
  } finally {
    child.kill('SIGKILL');
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 }).catch(() => undefined);
  }
}

async function openPage(devtools: Devtools, url: string): Promise<Evaluate> {
  const { targetId } = await devtools.call<{ targetId: string }>('Target.createTarget', { url });
  const { sessionId } = await devtools.call<{ sessionId: string }>('Target.attachToTarget', {
    targetId,
    flatten: true,
  });
  const evaluate: Evaluate = async expression => {
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await devtools.call<{
      result: { value?: unknown };
      exceptionDetails?: { text: string };
    }>('Runtime.evaluate', params, sessionId);
    if (exceptionDetails) throw new UserError(`The page's script failed: ${exceptionDetails.text}`);
    return result.value;
  };
  // The empty page, which stands there first, is complete as well.
  while (!(await evaluate(`location.href !== 'about:blank' && document.readyState === 'complete'`))) await delay(50);
  return evaluate;
}

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** The DevTools protocol over a pipe: JSON texts, each with a NUL at its end (--remote-debugging-pipe). */
class Devtools {
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  private readonly input: Writable;
  private rest = '';
  private last = 0;

  constructor(child: ChildProcess, program: string) {
    this.input = child.stdio[3] as Writable;
    const output = child.stdio[4] as Readable;
    output.setEncoding('utf8').on('data', (text: string) => this.take(text));
    const fail = (why: string): void => {
      for (const { reject } of this.waiting.values()) reject(new UserError(`${program} ${why}.`));
      this.waiting.clear();
    };
    for (const stream of [this.input, output]) stream.on('error', () => undefined);
    child.once('error', error => fail(`could not be started: ${error.message}`));
    child.once('exit', code => fail(`ended with ${code ?? 'a signal'}`));
  }

  call<T>(method: string, params: object, sessionId?: string): Promise<T> {
    const id = ++this.last;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve: value => resolve(value as T), reject });
      this.input.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    });
  }

  private take(text: string): void {
    const messages = (this.rest + text).split('\0');
    this.rest = messages.pop()!;
    for (const message of messages) {
      const { id, result, error } = JSON.parse(message) as Answer;
      const waiter = id === undefined ? undefined : this.waiting.get(id);
      if (!waiter) continue;
      this.waiting.delete(id!);
      if (error) waiter.reject(new Error(error.message));
      else waiter.resolve(result);
    }
  }
}
