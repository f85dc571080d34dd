import { formatDuration } from './wording.ts';

/** The items of the HELIX guide's checklist ("验证清单"), in its order. */
export const VERIFY_ITEMS = ['portDiscovery', 'dynamicPort', 'browser', 'health', 'recovery', 'portConflict'] as const;
export type VerifyItemId = (typeof VERIFY_ITEMS)[number];

export const VERIFY_TITLES: Readonly<Record<VerifyItemId, string>> = {
  portDiscovery: 'Port discovery gives a free port',
  dynamicPort: 'The API runs on a dynamic port',
  browser: 'A browser finds and reaches the API',
  health: 'The API says that it is healthy',
  recovery: 'A service that is killed comes back',
  portConflict: 'With its port taken, a service moves to another',
};

export interface VerifyResult {
  readonly id: VerifyItemId;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly title: string;
  /** What was done. */
  readonly done: string;
  /** What was seen, or why it was not done. */
  readonly seen: string;
  readonly ms: number;
}

export interface VerifyReport {
  readonly workspace: string;
  /** When it began, milliseconds since the epoch. */
  readonly at: number;
  readonly results: readonly VerifyResult[];
  /** What differs from before; empty when the stack is as it was found. */
  readonly left: readonly string[];
}

export const hasPassed = ({ results, left }: VerifyReport): boolean =>
  left.length === 0 && results.every(result => result.outcome !== 'failed');

const MARKS = { passed: '✔', failed: '✘', skipped: '–' } as const;

/** For a terminal or a pipe. */
export function verifyText(report: VerifyReport): string {
  const lines = report.results.flatMap(({ outcome, title, done, seen, ms }) => [
    `${MARKS[outcome]} ${title} (${outcome === 'skipped' ? 'skipped' : formatDuration(ms)})`,
    ...(outcome === 'skipped' ? [] : [`    did: ${done}`]),
    `    ${outcome === 'skipped' ? 'why' : 'saw'}: ${seen}`,
  ]);
  return [...lines, ...report.left.map(line => `✘ Not as it was found: ${line}`), '', summary(report)].join('\n');
}

/** A page for the editor. */
export function verifyMarkdown(report: VerifyReport): string {
  const rows = report.results.map(
    ({ outcome, title, done, seen, ms }) =>
      `| ${MARKS[outcome]} ${outcome} | ${plain(title)} | ${plain(outcome === 'skipped' ? '' : done)} | ${plain(seen)} | ${
        outcome === 'skipped' ? '' : formatDuration(ms)
      } |`,
  );
  return [
    '# HELIX: verification of the deployment',
    '',
    `${plain(report.workspace)}, ${new Date(report.at).toLocaleString()}: **${summary(report)}**`,
    '',
    '| | What | Done | Seen | Took |',
    '|---|---|---|---|---:|',
    ...rows,
    '',
    report.left.length === 0
      ? 'The stack is as it was found.'
      : ['The stack is not as it was found:', '', ...report.left.map(line => `- ${plain(line)}`)].join('\n'),
    '',
  ].join('\n');
}

function summary({ results }: VerifyReport): string {
  const count = (outcome: VerifyResult['outcome']): number => results.filter(one => one.outcome === outcome).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
}

/** Other programs' words in a table of Markdown: nothing in them is markup. */
const plain = (text: string): string =>
  text.replace(/\s+/g, ' ').replace(/[\\`*_{}[\]()#+!|<>~&]/g, character => `&#${character.charCodeAt(0)};`);
