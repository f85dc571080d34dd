import { userInfo } from 'node:os';

/** Who runs this process, for people. In a container the user id may have no name anywhere: then it is the id. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
