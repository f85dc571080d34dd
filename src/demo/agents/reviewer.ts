import { contrast, readableOn } from './colour.ts';
import type { PageSpec } from './layout.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What a finished job's result holds. */
export interface Result {
  readonly title: string;
  readonly layout: PageSpec['layout'];
  readonly html: string;
  readonly spec: PageSpec;
  readonly checks: readonly Check[];
}

/** The reviewer: mends what it can, then says of each rule whether the page keeps it. */
export function review(spec: PageSpec, draft: string): Result {
  const html = mendContrast(draft);
  return { title: spec.title, layout: spec.layout, html, spec, checks: checksOf(spec, html) };
}

const property = (html: string, name: string): string =>
  new RegExp(`--${name}: (#[0-9a-f]{6})`, 'i').exec(html)?.[1] ?? '#000000';

function mendContrast(html: string): string {
  const text = readableOn(property(html, 'ground'), property(html, 'accent-text'));
  return html.replace(/--accent-text: #[0-9a-f]{6}/i, `--accent-text: ${text}`);
}

function checksOf(spec: PageSpec, html: string): Check[] {
  const count = (pattern: RegExp): number => html.match(pattern)?.length ?? 0;
  const ratios = [
    contrast(property(html, 'ink'), property(html, 'ground')),
    contrast(property(html, 'soft'), property(html, 'card')),
    contrast(property(html, 'accent-text'), property(html, 'ground')),
    contrast(property(html, 'on-accent'), property(html, 'accent')),
  ];
  const lowest = Math.min(...ratios);
  const missing = spec.features.filter(
    feature => !html.includes(feature.replace(/[&<>"']/g, '')) && !/[&<>"']/.test(feature),
  );
  const controls = count(/<(?:input|textarea)\b/g);
  return [
    check('contrast', lowest >= 4.5, `lowest ratio ${lowest.toFixed(1)} to 1, 4.5 wanted`),
    check('one main heading', count(/<h1\b/g) === 1, `${count(/<h1\b/g)} found`),
    check('language', html.includes(`<html lang="${spec.language}">`), spec.language),
    check('viewport', html.includes('name="viewport"'), 'fits small screens'),
    check('labels', count(/<label\b/g) === controls, `${controls} fields`),
    check('nothing foreign', !/<script|https?:\/\/|\son\w+=/i.test(withoutText(html)), 'no scripts, no requests'),
    check(
      'request',
      missing.length === 0,
      missing.length === 0 ? 'all that was asked for is there' : `missing: ${missing.join(', ')}`,
    ),
    check('size', html.length < 100_000, `${(html.length / 1024).toFixed(1)} KB`),
  ];
}

const check = (name: string, ok: boolean, detail: string): Check => ({ name, ok, detail });

/** Tags only: what the user wrote is text, and may well hold an address. */
const withoutText = (html: string): string =>
  (html.match(/<[^>]*>/g) ?? []).map(tag => tag.replace(/"[^"]*"/g, '""')).join('');
