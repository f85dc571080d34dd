import { LOG_LEVELS, type LogLevel } from './environment.ts';

export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

const COLOURS: Record<LogLevel, string> = { DEBUG: '90', INFO: '36', WARNING: '33', ERROR: '31' };

/** https://no-color.org and https://force-color.org; without either, colour is for terminals. */
export function usesColour(env: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  if (env['FORCE_COLOR'] !== undefined) return !['0', 'false'].includes(env['FORCE_COLOR']);
  return !env['NO_COLOR'] && isTerminal;
}

/** `12:00:01.123 INFO  message`, at or above a level. */
export function createLog(
  level: LogLevel,
  write: (line: string) => void = line => void process.stdout.write(line),
  colour = usesColour(process.env, process.stdout.isTTY),
): Log {
  const paint = (code: string, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const at = (own: LogLevel) => (message: string) => {
    if (LOG_LEVELS.indexOf(own) < LOG_LEVELS.indexOf(level)) return;
    const time = new Date().toISOString().slice(11, 23);
    write(`${paint('90', time)} ${paint(COLOURS[own], own.padEnd(7))} ${message}\n`);
  };
  return { debug: at('DEBUG'), info: at('INFO'), warn: at('WARNING'), error: at('ERROR') };
}
