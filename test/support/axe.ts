import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Frame, Page } from 'playwright-core';
import { repoRoot } from './paths.ts';

interface AxeResult {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly target: unknown }[] }[];
  readonly passes: readonly unknown[];
}

/** What axe-core finds wrong with the page, each with where; it needs a context with `bypassCSP`, or a lenient page. */
export async function accessibilityProblems(page: Page | Frame): Promise<string[]> {
  const source = await readFile(join(repoRoot, 'node_modules/axe-core/axe.min.js'), 'utf8');
  await page.evaluate(source);
  const result = await page.evaluate(() => (globalThis as unknown as { axe: { run(): Promise<AxeResult> } }).axe.run());
  // Without a page that it can look into axe finds nothing wrong either.
  if (result.passes.length < 10) throw new Error(`axe looked at next to nothing: ${result.passes.length} rules`);
  return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => String(node.target)).join(', ')}`);
}
