import { getNodeValue } from 'jsonc-parser';
import * as z from 'zod/mini';
import { checkMeaning } from './config/checks.ts';
import { reportIssue } from './config/issue.ts';
import { ConfigProblems, type ParsedConfig } from './config/problem.ts';
import { configSchema } from './config/schema.ts';
import { checkKeys, parseSyntax } from './config/syntax.ts';

export type { ConfigProblem, ParsedConfig } from './config/problem.ts';
export { configJsonSchema, type HelixConfig, type ServiceConfig } from './config/schema.ts';

/**
 * `helix.config.json`: read here, and nowhere else, into a checked `HelixConfig` or a list of problems with their places.
 * Comments and trailing commas are allowed. Never throws: all that is wrong is in the problems, in the file's order.
 * Of a file that is not JSON only that is told, of one that is, every unknown key, wrong value and contradiction.
 */
export function parseConfig(source: string): ParsedConfig {
  const content = source.replace(/^\ufeff/, '');
  const problems = new ConfigProblems(content);
  const root = parseSyntax(content, problems);
  if (!root) return problems.refuse();
  problems.root = root;
  checkKeys(root, problems);
  const value: unknown = getNodeValue(root);
  const parsed = z.safeParse(configSchema, value);
  if (!parsed.success) for (const issue of parsed.error.issues) reportIssue(issue, value, problems);
  problems.kind = 'meaning';
  checkMeaning(value, problems);
  return parsed.success && problems.isEmpty ? { ok: true, config: parsed.data } : problems.refuse();
}
