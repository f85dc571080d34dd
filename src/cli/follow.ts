import { closeSync, openSync, readSync, statSync, watchFile, unwatchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';
import { type Disposable, DisposableStore } from '../base/dispose.ts';
import { UserError } from '../base/errors.ts';
import type { Stack } from '../session/stack.ts';
import type { CliContext } from './context.ts';

const POLL_MS = 200;

/** Prints the last `count` lines of a log, and answers how far into the file that was; colours only on a terminal. */
export async function printLog(context: CliContext, file: string, count: number): Promise<number> {
  let content: Buffer;
  try {
    content = await readFile(file);
  } catch (cause) {
    throw new UserError(`there is no log yet (${file}); start the service first`, { cause });
  }
  const text = content.toString('utf8').replace(/\n$/, '');
  if (count > 0 && text) context.out(plain(text.split('\n').slice(-count).join('\n')));
  return content.length;
}

/** Tells what is appended to a log from `position` on, also across its turning over. */
export function followLog(file: string, onText: (text: string) => void, position = sizeOf(file)): Disposable {
  let decoder = new StringDecoder('utf8');
  const look = (): void => {
    const size = sizeOf(file);
    if (size < position) {
      position = 0;
      decoder = new StringDecoder('utf8');
    }
    if (size === position) return;
    const added = readBetween(file, position, size);
    position += added.length;
    onText(plain(decoder.write(added)));
  };
  watchFile(file, { interval: POLL_MS }, look);
  look();
  return { dispose: () => unwatchFile(file, look) };
}

/** The output of all services on stdout, each line with its service's name. */
export function followLogs(context: CliContext, stack: Stack): Disposable {
  const store = new DisposableStore();
  const width = Math.max(...stack.plan.services.map(service => service.id.length));
  for (const { id } of stack.plan.services) {
    // What came so far may end in the middle of a line.
    let rest = '';
    const onText = (text: string): void => {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop()!;
      for (const line of lines) context.out(`${id.padEnd(width)} | ${line}`);
    };
    store.add(followLog(stack.logFile(id), onText));
  }
  return store;
}

function readBetween(file: string, from: number, to: number): Buffer {
  const buffer = Buffer.alloc(to - from);
  const descriptor = openSync(file, 'r');
  try {
    return buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.length, from));
  } finally {
    closeSync(descriptor);
  }
}

const plain = (text: string): string => (process.stdout.isTTY ? text : stripVTControlCharacters(text));

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}
