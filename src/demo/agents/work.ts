import type { ClaimedTask } from '../jobs.ts';
import { generate } from './generator.ts';
import type { PageSpec } from './layout.ts';
import { plan } from './planner.ts';
import { review } from './reviewer.ts';

/** One step of the workflow. Pure, so that doing it twice gives the same output. */
export function work({ agent, job, outputs }: Pick<ClaimedTask, 'agent' | 'job' | 'outputs'>): unknown {
  switch (agent) {
    case 'planner':
      return plan(job.prompt, job.layout);
    case 'generator':
      return { html: generate(outputOf<PageSpec>(outputs, 'planner')) };
    case 'reviewer':
      return review(outputOf<PageSpec>(outputs, 'planner'), outputOf<{ html: string }>(outputs, 'generator').html);
  }
}

function outputOf<T>(outputs: Readonly<Record<string, unknown>>, agent: string): T {
  if (outputs[agent] === undefined) throw new Error(`The ${agent} left no output`);
  return outputs[agent] as T;
}
