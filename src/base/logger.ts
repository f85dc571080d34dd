/** One interface, several sinks: the editor's output channel, stderr, a file, a test that fails on unexpected errors. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string, cause?: unknown): void;
}

export const nullLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
