import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/*
 * Takes the place of VS Code's native logger `@vscode/spdlog`, whose binding needs a compiler. Without it nothing is
 * written to log files, and the Output panel stays empty, since it shows the files of log channels.
 * Files are not rotated: they live for one test run.
 */

const names = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];
const levels = { trace: 0, debug: 1, info: 2, warn: 3, error: 4, critical: 5 };

export const version = 0;
export const setLevel = (): void => {};
export const setFlushOn = (): void => {};

export class Logger {
  private level = levels.info;
  private bare = false;
  private readonly file: string;

  constructor(_kind: string, _name: string, file: string) {
    this.file = file;
  }

  trace = (message: string): void => this.write(levels.trace, message);
  debug = (message: string): void => this.write(levels.debug, message);
  info = (message: string): void => this.write(levels.info, message);
  warn = (message: string): void => this.write(levels.warn, message);
  error = (message: string): void => this.write(levels.error, message);
  critical = (message: string): void => this.write(levels.critical, message);
  getLevel = (): number => this.level;
  setLevel = (level: number): void => void (this.level = level);
  setPattern = (): void => {};
  clearFormatters = (): void => void (this.bare = true);
  flush = (): void => {};
  drop = (): void => {};

  private write(level: number, message: string): void {
    if (level < this.level) return;
    const head = `${new Date().toISOString().replace('T', ' ').slice(0, 23)} [${names[level]}] `;
    try {
      appendFileSync(this.file, this.bare ? message : `${head}${message}\n`);
    } catch {
      // The folder is gone because the run is over; a logger must not end its process for that.
    }
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- VS Code awaits it.
export async function createRotatingLogger(name: string, file: string): Promise<Logger> {
  mkdirSync(dirname(file), { recursive: true });
  return new Logger('rotating', name, file);
}

export const createAsyncRotatingLogger = createRotatingLogger;
