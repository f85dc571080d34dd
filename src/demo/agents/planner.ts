import { NAMED_COLOURS, fromHue } from './colour.ts';
import type { Layout, PageSpec } from './layout.ts';

/** Words that speak for a layout. The request's first match counts a little more than the later ones. */
const CLUES: readonly (readonly [Layout, RegExp])[] = [
  ['dashboard', /dashboard|admin|analytics|metrics|kpi|monitor|statistic|chart|仪表盘|后台|统计|监控/gi],
  ['pricing', /pricing|price|plans?\b|subscription|tier|价格|套餐|订阅/gi],
  ['form', /form|log ?in|sign ?(?:in|up)|register|registration|contact|survey|booking|登录|注册|表单|联系|预约/gi],
  ['gallery', /gallery|portfolio|photo|showcase|exhibition|作品|相册|画廊|摄影/gi],
  ['article', /blog|article|news|documentation|\bdocs\b|essay|journal|博客|文章|新闻|文档/gi],
  ['shop', /shop|store|product|catalog(?:ue)?|e-?commerce|cart|商店|商城|商品|购物/gi],
  ['landing', /landing|home ?page|startup|launch|marketing|website|官网|首页|落地页/gi],
];

/** The planner: reads the request, and decides what to build. Pure: the same request gives the same plan. */
export function plan(prompt: string, wanted: Layout | null): PageSpec {
  const text = prompt.replace(/\s+/g, ' ').trim();
  const seed = hash(text);
  const language = /\p{Script=Han}/u.test(text) ? 'zh-CN' : 'en';
  const layout = wanted ?? guessLayout(text);
  return {
    layout,
    title: titleOf(text, language),
    tagline: text.length > 160 ? `${text.slice(0, 157).trimEnd()}…` : text,
    language,
    theme: /\bdark\b|\bnight\b|\bmidnight\b|深色|暗色|夜间/i.test(text) ? 'dark' : 'light',
    accent: accentOf(text, seed),
    features: featuresOf(text),
    amounts: [...text.matchAll(/[$€£¥]\s?\d+(?:[.,]\d{1,2})?/g)].map(match => match[0].replace(/\s/g, '')).slice(0, 4),
    seed,
  };
}

function guessLayout(text: string): Layout {
  let best: { layout: Layout; score: number } = { layout: 'landing', score: 0 };
  for (const [layout, clue] of CLUES) {
    const matches = [...text.matchAll(clue)];
    const first = matches[0]?.index ?? 0;
    const score = matches.length + (matches.length > 0 ? 1 - first / (text.length + 1) : 0);
    if (score > best.score) best = { layout, score };
  }
  return best.layout;
}

const NAME =
  /(?:called|named|titled|名为|叫做|叫)\s*([\p{L}\p{N}][\p{L}\p{N}&'’. -]{0,40}?)(?=[,.;:!?，。；、]|\s+(?:with|for|that|in|and|which|using)\b|$)/iu;
const QUOTED = /["“「『«]([^"”」』»]{1,60})["”」』»]/;
const SUBJECT =
  /\b(?:for|about|of)\s+(?:(?:my|our|an?|the)\s+)?([\p{L}\p{N}][^,.;:!?]{1,48}?)(?=[,.;:!?]|\s+(?:with|that|in|including|featuring|using|and)\b|$)/iu;
const FILLER =
  /^(?:please|create|make|build|design|generate|write|give|me|us|a|an|the|simple|modern|nice|beautiful|page|for|of|with|some)$/i;

function titleOf(text: string, language: PageSpec['language']): string {
  const found = QUOTED.exec(text)?.[1] ?? NAME.exec(text)?.[1] ?? SUBJECT.exec(text)?.[1];
  if (found) return capitalise(found.trim());
  if (language === 'zh-CN') {
    const clause = text.split(/[，。；、,.;!?！？]/)[0] ?? text;
    return (
      clause.replace(/^(?:请|帮我|为我|给我)?(?:创建|制作|做|设计|生成|写)?(?:一个|一张|个)?/, '').slice(0, 20) ||
      text.slice(0, 20)
    );
  }
  const words = (text.split(/[,.;:!?]/)[0] ?? text).split(' ').filter(word => !FILLER.test(word));
  return capitalise(words.slice(0, 5).join(' ') || text.slice(0, 40));
}

const capitalise = (text: string): string =>
  text.replace(/(^|\s)(\p{Ll})/gu, (_, space: string, letter: string) => space + letter.toUpperCase());

function accentOf(text: string, seed: number): string {
  const hex = /#(?:[0-9a-f]{6}|[0-9a-f]{3})\b/i.exec(text)?.[0];
  if (hex) return hex.length === 4 ? `#${[...hex.slice(1)].map(digit => digit + digit).join('')}` : hex.toLowerCase();
  for (const [name, value] of Object.entries(NAMED_COLOURS)) {
    const pattern = /[a-z]/.test(name) ? new RegExp(`\\b${name}\\b`, 'i') : new RegExp(`${name}色`);
    if (pattern.test(text)) return value;
  }
  return fromHue(seed % 360);
}

const LIST =
  /(?:\b(?:with|including|include|featuring|showing|listing|having|fields?)\b:?|包含|包括|带有|带|显示|有)\s*([^.;!?。；！？]+)/giu;

/** "with a hero, customer quotes and a newsletter" gives its three items. */
function featuresOf(text: string): string[] {
  const items = [...text.matchAll(LIST)].flatMap(match =>
    (match[1] ?? '').split(/\s*(?:,|，|、|;|\band\b|\bplus\b|和|以及|与)\s*/i),
  );
  const clean = items
    .map(item =>
      item
        .replace(/:?\s*[$€£¥]\s?[\d.,]+.*$/, '')
        .replace(/^(?:an?|the|my|our|some|its|一个|一些)\s+/i, '')
        .trim(),
    )
    .filter(item => item.length > 1 && item.length <= 48 && !/\b(?:theme|colou?rs?|accent|mode)\b|色/i.test(item));
  return [...new Set(clean.map(item => item.charAt(0).toUpperCase() + item.slice(1)))].slice(0, 8);
}

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}
