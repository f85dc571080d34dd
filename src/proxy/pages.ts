import { createHash } from 'node:crypto';

/** An answer of the proxy's own: an error of which people and programs must be told what to do next. */
export interface Problem {
  readonly status: number;
  /** For programs, e.g. `no_upstream`. */
  readonly code: string;
  readonly title: string;
  /** What happened and the next step, in one or two sentences. */
  readonly message: string;
  /** Whether a page should look again by itself until it is over. */
  readonly passes: boolean;
}

export interface Page {
  readonly type: string;
  readonly body: string;
  /** Content-Security-Policy, for pages only. */
  readonly policy?: string;
}

/** HTML for browsers, which ask for it by name; JSON for everyone else. */
export function problemPage(problem: Problem, accept: string | undefined): Page {
  const { code, title, message } = problem;
  if (!accept?.includes('text/html')) {
    return { type: 'application/json', body: `${JSON.stringify({ error: { code, title, message } })}\n` };
  }
  return { type: 'text/html; charset=utf-8', body: html(problem), policy: POLICY };
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto 0; padding: 0 1.5rem; }
h1 { font-size: 1.4rem; }
p { overflow-wrap: anywhere; }
small { opacity: 0.7; }`;

/** Looks whether the proxy has an upstream again, and only then loads anew, so that nothing flickers meanwhile. */
const SCRIPT = `
const look = async () => {
  try {
    const answer = await fetch('/health', { cache: 'no-store' });
    if (answer.ok && (await answer.json()).ready) return location.reload();
  } catch {}
  setTimeout(look, 1000);
};
setTimeout(look, 1000);`;

const sourceHash = (source: string): string => `'sha256-${createHash('sha256').update(source).digest('base64')}'`;
const POLICY = `default-src 'none'; style-src ${sourceHash(STYLE)}; script-src ${sourceHash(SCRIPT)}; connect-src 'self'`;

function html({ status, title, message, passes }: Problem): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main role="status">
<h1>${escaped(title)}</h1>
<p>${escaped(message)}</p>
${passes ? '<p>This page loads again by itself when it is back.</p>' : ''}
<p><small>HELIX proxy, status ${status}</small></p>
</main>
${passes ? `<script>${SCRIPT}</script>` : ''}
</body>
</html>
`;
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
