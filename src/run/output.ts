import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';
import { Emitter } from '../base/event.ts';

export type OutputStream = 'stdout' | 'stderr';

/** A service's output so far: the last lines in memory, everything in a file that is turned over when it grows. */
export class OutputLog {
  private readonly recent: RecentLines;
  private readonly writing = new Set<ProcessOutput>();
  private readonly file: RotatingFile;
  private readonly completed = new Emitter<readonly string[]>();

  /** Lines as they are completed, without colours. */
  readonly onLines = this.completed.event;

  constructor(
    path: string,
    private readonly keep = 200,
  ) {
    this.file = new RotatingFile(path);
    this.recent = new RecentLines(keep);
  }

  /** For what one more process writes; several may do so at a time. */
  ofProcess(): ProcessOutput {
    const output = new ProcessOutput(this.keep, {
      onChunk: chunk => this.file.write(chunk),
      onLines: lines => {
        this.recent.push(lines);
        this.completed.fire(lines);
      },
      onEnd: () => this.writing.delete(output),
    });
    this.writing.add(output);
    return output;
  }

  /** The last `count` lines that are not empty, unfinished ones included. */
  last(count: number): string[] {
    return this.recent.last(
      count,
      [...this.writing].flatMap(one => one.unfinished),
    );
  }

  dispose(): void {
    this.file.dispose();
  }
}

interface ProcessOutputEvents {
  onChunk(chunk: Buffer): void;
  onLines(lines: readonly string[]): void;
  onEnd(): void;
}

/** What one process of a service writes, apart from what is written by one that runs beside it. */
export class ProcessOutput {
  private readonly recent: RecentLines;
  private readonly splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };

  constructor(
    keep: number,
    private readonly events: ProcessOutputEvents,
  ) {
    this.recent = new RecentLines(keep);
  }

  /** Takes raw output and answers the lines that it completed, without colours. */
  append(chunk: Buffer, stream: OutputStream = 'stdout'): string[] {
    this.events.onChunk(chunk);
    const complete = this.splitters[stream].push(chunk);
    this.take(complete);
    return complete;
  }

  /** Lines that were begun. */
  get unfinished(): string[] {
    return [this.splitters.stdout.rest, this.splitters.stderr.rest];
  }

  /** The last `count` lines that are not empty, unfinished ones included. */
  last(count: number): string[] {
    return this.recent.last(count, this.unfinished);
  }

  /** The process is gone: what it had begun to write is a line as it is. */
  end(): void {
    this.take(Object.values(this.splitters).flatMap(one => one.finish()));
    this.events.onEnd();
  }

  private take(lines: readonly string[]): void {
    if (lines.length === 0) return;
    this.recent.push(lines);
    this.events.onLines(lines);
  }
}

class RecentLines {
  private readonly lines: string[] = [];

  constructor(private readonly keep: number) {}

  push(lines: readonly string[]): void {
    this.lines.push(...lines);
    if (this.lines.length > this.keep) this.lines.splice(0, this.lines.length - this.keep);
  }

  /** The last `count` that are not empty, of these and what follows them. */
  last(count: number, following: readonly string[]): string[] {
    return [...this.lines, ...following].filter(line => line.trim()).slice(-count);
  }
}

/** A line that never ends must not grow without bound. */
const MAX_LINE = 64 * 1024;

/** Lines of one stream, whose chunks may end anywhere, even inside a character. */
class LineSplitter {
  private readonly decoder = new StringDecoder('utf8');
  private partial = '';

  /** The lines that the chunk completed. */
  push(chunk: Buffer): string[] {
    const parts = (this.partial + this.decoder.write(chunk)).split('\n');
    this.partial = parts.pop()!.slice(-MAX_LINE);
    return parts.map(plain);
  }

  get rest(): string {
    return plain(this.partial);
  }

  /** What was begun and will not be finished. */
  finish(): string[] {
    const { rest } = this;
    this.partial = '';
    return rest ? [rest] : [];
  }
}

/** Without colours, and of a line that was written over (a progress bar) what it said last. */
const plain = (line: string): string => stripVTControlCharacters(line).replace(/\r+$/, '').replace(/^.*\r/s, '');

const MAX_FILE_BYTES = 4 << 20;

/** Appends to `path`; beyond `maxBytes` the file becomes `path.1` and a new one is begun. */
class RotatingFile {
  private fd: number | undefined;
  private size = 0;

  constructor(
    private readonly path: string,
    private readonly maxBytes = MAX_FILE_BYTES,
  ) {}

  write(chunk: Buffer): void {
    try {
      if (this.size > this.maxBytes) this.turnOver();
      this.fd ??= this.open();
      this.size += writeSync(this.fd, chunk);
    } catch {
      // A full disk must not take the service down; the terminal still shows its output.
      this.dispose();
    }
  }

  dispose(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }

  private open(): number {
    mkdirSync(dirname(this.path), { recursive: true });
    const fd = openSync(this.path, 'a', 0o600);
    this.size = statSync(this.path).size;
    return fd;
  }

  private turnOver(): void {
    this.dispose();
    renameSync(this.path, `${this.path}.1`);
    this.size = 0;
  }
}
