/** What a diagnosis found. `id` is for programs and stays the same from version to version. */
export interface Finding {
  readonly id: string;
  /** `error`: the services cannot start, or something is lost. `warning`: it will bite. `info`: worth knowing. */
  readonly severity: 'ok' | 'info' | 'warning' | 'error';
  readonly message: string;
  /** What to do about it; empty for `ok`. */
  readonly advice: string;
}

const MARKS: Readonly<Record<Finding['severity'], string>> = {
  ok: 'ok',
  info: 'info',
  warning: 'WARNING',
  error: 'ERROR',
};
const WORST_FIRST: readonly Finding['severity'][] = ['error', 'warning', 'info', 'ok'];

export const hasErrors = (findings: readonly Finding[]): boolean => findings.some(one => one.severity === 'error');

const worstFirst = (findings: readonly Finding[]): Finding[] =>
  WORST_FIRST.flatMap(severity => findings.filter(one => one.severity === severity));

/** `2 errors, 1 warning`; `nothing wrong` for neither. */
export function findingsSummary(findings: readonly Finding[]): string {
  const count = (severity: Finding['severity']): number => findings.filter(one => one.severity === severity).length;
  const parts = (['error', 'warning'] as const).flatMap(severity => {
    const number = count(severity);
    return number === 0 ? [] : `${number} ${severity}${number === 1 ? '' : 's'}`;
  });
  return parts.join(', ') || 'nothing wrong';
}

/** For a terminal: the worst first, what to do indented beneath. */
export function findingsText(workspace: string, findings: readonly Finding[]): string {
  const lines = worstFirst(findings).flatMap(({ severity, message, advice }) => [
    `${MARKS[severity].padEnd(7)}  ${message}`,
    ...(advice ? [`         → ${advice}`] : []),
  ]);
  return [`${workspace}: ${findingsSummary(findings)}`, '', ...lines].join('\n');
}

/** For the editor: the same findings as a Markdown document. */
export function findingsMarkdown(workspace: string, findings: readonly Finding[]): string {
  const rows = worstFirst(findings).map(({ id, severity, message, advice }) => {
    const next = advice ? `\n  What to do: ${plain(advice)}` : '';
    return `- **${MARKS[severity]}** ${plain(message)} (${id})${next}`;
  });
  return [`# HELIX: Diagnose`, '', `${plain(workspace)}: ${findingsSummary(findings)}`, '', ...rows, ''].join('\n');
}

/** Paths and command lines are other people's text. */
const plain = (text: string): string => text.replace(/[\\`*_[\]<>]/g, '\\$&').replace(/\s*\n\s*/g, ' ');

/** The shape of `doctor --json`. */
export const findingsJson = (workspace: string, findings: readonly Finding[]): object => ({
  workspace,
  findings: worstFirst(findings),
});
