/** The variable in which HELIX's API looks for the origins of pages that may call it: exact ones, with commas. */
export const ORIGINS_VARIABLE = 'ALLOWED_ORIGINS';

/** Both names that a browser on this machine may have a page by. `port` may be a template. */
export const originsOf = (port: number | string): readonly string[] => [
  `http://localhost:${port}`,
  `http://127.0.0.1:${port}`,
];

/** The user's own origins, then ours; each once. `*` allows all there are. */
export function joinOrigins(own: string, ours: readonly string[]): string {
  const listed = own.split(',').map(origin => origin.trim());
  return [...new Set([...listed, ...(listed.includes('*') ? [] : ours)])].filter(Boolean).join(',');
}
