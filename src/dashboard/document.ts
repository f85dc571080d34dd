export interface DocumentOptions {
  /** Fresh for each page: only the script and the style sheet that carry it are loaded. */
  readonly nonce: string;
  readonly script: string;
  readonly style: string;
  /** What the page may connect to beside nothing, as a CSP source. */
  readonly connect: string;
}

/** The HTML in which the page's script runs, for a webview and for a browser. All else the script makes. */
export function dashboardDocument({ nonce, script, style, connect }: DocumentOptions): string {
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    `connect-src ${connect}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${attribute(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>HELIX</title>
<link rel="stylesheet" href="${attribute(style)}" nonce="${nonce}">
</head>
<body>
<noscript>The dashboard is drawn by a script, and scripts are switched off.</noscript>
<script src="${attribute(script)}" nonce="${nonce}"></script>
</body>
</html>
`;
}

const attribute = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
