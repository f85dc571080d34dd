import { contrast } from './colour.ts';
import type { Layout, PageSpec } from './layout.ts';
import { hash } from './planner.ts';

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escape = (text: string): string => text.replace(/[&<>"']/g, character => ESCAPES[character] ?? '');

/** Page text in the request's language. */
interface Words {
  readonly start: string;
  readonly more: string;
  readonly send: string;
  readonly buy: string;
  readonly month: string;
  readonly made: string;
  readonly popular: string;
  readonly plans: readonly string[];
  readonly defaults: Readonly<Record<Layout, readonly string[]>>;
}

const ENGLISH: Words = {
  start: 'Get started',
  more: 'Learn more',
  send: 'Send',
  buy: 'Add to cart',
  month: 'a month',
  made: 'Made by HELIX from the request',
  popular: 'Most chosen',
  plans: ['Starter', 'Team', 'Business', 'Enterprise'],
  defaults: {
    landing: ['Quick to start', 'Easy to trust', 'Made to last'],
    dashboard: ['Visitors', 'Orders', 'Revenue', 'Open tickets'],
    pricing: ['All basic functions', 'Help by e-mail', 'Unlimited projects', 'Own domain'],
    form: ['Name', 'E-mail', 'Message'],
    gallery: ['First light', 'Harbour', 'Market', 'Stairs', 'Winter field', 'Crossing'],
    article: ['How it began', 'What we learned', 'What comes next'],
    shop: ['Classic', 'Travel', 'Studio', 'Limited'],
  },
};

const CHINESE: Words = {
  start: '立即开始',
  more: '了解更多',
  send: '提交',
  buy: '加入购物车',
  month: '每月',
  made: '由 HELIX 根据需求生成',
  popular: '最受欢迎',
  plans: ['入门版', '团队版', '商业版', '企业版'],
  defaults: {
    landing: ['快速上手', '值得信赖', '经久耐用'],
    dashboard: ['访客', '订单', '收入', '待办'],
    pricing: ['全部基础功能', '邮件支持', '无限项目', '独立域名'],
    form: ['姓名', '邮箱', '留言'],
    gallery: ['晨光', '港湾', '集市', '台阶', '冬野', '路口'],
    article: ['缘起', '收获', '展望'],
    shop: ['经典款', '旅行款', '工作室款', '限量款'],
  },
};

/** Everything that a layout's template may use. */
interface Page {
  readonly spec: PageSpec;
  readonly words: Words;
  readonly items: readonly string[];
  /** A number of 0 to `below - 1` that depends only on the request and `key`. */
  pick(key: number, below: number): number;
}

/** The generator: one self-contained page without scripts, so that it can be shown anywhere. */
export function generate(spec: PageSpec): string {
  const words = spec.language === 'zh-CN' ? CHINESE : ENGLISH;
  const items = spec.features.length > 0 ? spec.features : words.defaults[spec.layout];
  const pick = (key: number, below: number): number => hash(`${spec.seed}/${key}`) % below;
  const page: Page = { spec, words, items, pick };
  return `<!doctype html>
<html lang="${spec.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(spec.title)}</title>
<meta name="description" content="${escape(spec.tagline)}">
<style>
${styles(spec)}${LAYOUT_STYLES[spec.layout]}
</style>
</head>
<body>
<header class="top"><strong>${escape(spec.title)}</strong>
<nav aria-label="${spec.language === 'en' ? 'Sections' : '导航'}">${navigation(page)}</nav></header>
<main>
${TEMPLATES[spec.layout](page)}
</main>
<footer>${escape(words.made)}: “${escape(spec.tagline)}”</footer>
</body>
</html>
`;
}

const navigation = ({ items }: Page): string =>
  items
    .slice(0, 4)
    .map((item, i) => `<a href="#s${i + 1}">${escape(item)}</a>`)
    .join(' ');

function styles({ accent, theme }: PageSpec): string {
  const [ground, card, ink, soft, line] =
    theme === 'dark'
      ? ['#0f1115', '#181b22', '#f2f4f8', '#a9b1bf', '#2b303b']
      : ['#ffffff', '#f6f7f9', '#16181d', '#545b67', '#dfe3e8'];
  const onAccent = contrast(accent, '#ffffff') >= contrast(accent, '#000000') ? '#ffffff' : '#000000';
  return `:root { --accent: ${accent}; --on-accent: ${onAccent}; --accent-text: ${accent}; --ground: ${ground}; --card: ${card}; --ink: ${ink}; --soft: ${soft}; --line: ${line}; color-scheme: ${theme}; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.6 system-ui, sans-serif; }
.top { display: flex; flex-wrap: wrap; gap: 1rem; justify-content: space-between; align-items: center; padding: 1rem max(1rem, calc(50% - 34rem)); border-bottom: 1px solid var(--line); }
.top nav { display: flex; flex-wrap: wrap; gap: 1rem; }
a { color: var(--accent-text); }
.top a { color: var(--soft); text-decoration: none; }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: clamp(2rem, 5vw, 3.25rem); line-height: 1.15; margin: 0 0 1rem; text-wrap: balance; }
h2 { font-size: 1.2rem; margin: 0 0 .5rem; }
.lead { color: var(--soft); font-size: 1.15rem; max-width: 44rem; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); margin-top: 2rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem; }
.button { display: inline-block; border: 0; border-radius: .5rem; padding: .65rem 1.2rem; font: inherit; font-weight: 600; background: var(--accent); color: var(--on-accent); text-decoration: none; cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent-text); outline-offset: 2px; }
footer { color: var(--soft); font-size: .85rem; padding: 1.5rem max(1rem, calc(50% - 34rem)); border-top: 1px solid var(--line); }
`;
}

const LAYOUT_STYLES: Readonly<Record<Layout, string>> = {
  landing: `.hero { padding: 4rem 0 2rem; } .card { border-top: 4px solid var(--accent); }`,
  dashboard: `.figure { font-size: 2rem; font-weight: 700; } table { width: 100%; border-collapse: collapse; margin-top: 2rem; } th, td { text-align: left; padding: .5rem; border-bottom: 1px solid var(--line); } svg { width: 100%; height: 3rem; color: var(--accent); }`,
  pricing: `.card { display: flex; flex-direction: column; gap: .75rem; } .card ul { padding-left: 1.2rem; margin: 0; flex: 1; } .price { font-size: 2.25rem; font-weight: 700; } .chosen { border: 2px solid var(--accent); } .tag { color: var(--accent-text); font-weight: 600; }`,
  form: `form { display: grid; gap: 1rem; max-width: 30rem; margin-top: 2rem; } label { display: grid; gap: .35rem; font-weight: 600; } input, textarea { font: inherit; padding: .6rem .75rem; border: 1px solid var(--soft); border-radius: .5rem; background: var(--card); color: inherit; }`,
  gallery: `figure { margin: 0; } figure svg { width: 100%; aspect-ratio: 4 / 3; border-radius: .75rem; display: block; color: var(--accent); } figcaption { color: var(--soft); padding-top: .35rem; } .grid { grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }`,
  article: `article { max-width: 42rem; margin: 0 auto; font-size: 1.1rem; } article h2 { font-size: 1.5rem; margin-top: 2.5rem; } blockquote { margin: 2rem 0; padding-left: 1rem; border-left: 4px solid var(--accent); color: var(--soft); }`,
  shop: `.card svg { width: 100%; height: 9rem; border-radius: .5rem; color: var(--accent); } .price { font-weight: 700; font-size: 1.2rem; margin: .25rem 0 1rem; }`,
};

const heading = ({ spec }: Page): string =>
  `<h1>${escape(spec.title)}</h1>\n<p class="lead">${escape(spec.tagline)}</p>`;

const cards = (page: Page, inner: (item: string, index: number) => string, tag = 'section'): string =>
  `<div class="grid">\n${page.items
    .map((item, i) => `<${tag} class="card" id="s${i + 1}">${inner(item, i)}</${tag}>`)
    .join('\n')}\n</div>`;

const amount = (page: Page, index: number): string =>
  page.spec.amounts[index] ?? `$${9 + 10 * index + page.pick(index, 9)}`;

/** A drawing of the request's own: the same number of shapes in the same places each time. */
function drawing(page: Page, key: number, label: string): string {
  const shapes = Array.from({ length: 5 }, (_, i) => {
    const at = (n: number, below: number): number => page.pick(key * 31 + i * 7 + n, below);
    return `<circle cx="${at(1, 100)}" cy="${at(2, 75)}" r="${8 + at(3, 22)}" fill="currentColor" opacity="0.${2 + at(4, 6)}"/>`;
  }).join('');
  return `<svg viewBox="0 0 100 75" preserveAspectRatio="xMidYMid slice" role="img" aria-label="${escape(label)}"><rect width="100" height="75" fill="currentColor" opacity="0.15"/>${shapes}</svg>`;
}

function curve(page: Page, key: number): string {
  const points = Array.from({ length: 9 }, (_, i) => `${i * 12.5},${28 - page.pick(key * 13 + i, 26)}`).join(' ');
  return `<svg viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true"><polyline points="${points}" fill="none" stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke"/></svg>`;
}

const SENTENCES: Readonly<Record<PageSpec['language'], (item: string, title: string) => string>> = {
  en: (item, title) => `${item}: part of ${title} from the first day, ready when you are.`,
  'zh-CN': (item, title) => `${item}——${title}从第一天起就为您准备好。`,
};
const sentence = ({ spec }: Page, item: string): string => escape(SENTENCES[spec.language](item, spec.title));

const TEMPLATES: Readonly<Record<Layout, (page: Page) => string>> = {
  landing: page => `<div class="hero">${heading(page)}
<p><a class="button" href="#s1">${page.words.start}</a> <a href="#s2">${page.words.more}</a></p></div>
${cards(page, item => `<h2>${escape(item)}</h2><p>${sentence(page, item)}</p>`)}`,

  dashboard: page => `${heading(page)}
${cards(page, (item, i) => `<h2>${escape(item)}</h2><div class="figure">${(page.pick(i, 9000) + 100).toLocaleString('en')}</div>${curve(page, i)}`)}
<table><thead><tr><th scope="col">#</th>${page.items
    .slice(0, 4)
    .map(item => `<th scope="col">${escape(item)}</th>`)
    .join('')}</tr></thead><tbody>${[1, 2, 3, 4]
    .map(
      row =>
        `<tr><th scope="row">${row}</th>${page.items
          .slice(0, 4)
          .map((_, i) => `<td>${page.pick(row * 17 + i, 400)}</td>`)
          .join('')}</tr>`,
    )
    .join('')}</tbody></table>`,

  pricing: page => {
    const plans = page.words.plans.slice(0, Math.max(3, page.spec.amounts.length));
    return `${heading(page)}
<div class="grid">${plans
      .map(
        (
          name,
          i,
        ) => `<section class="card${i === 1 ? ' chosen' : ''}" id="s${i + 1}"><h2>${name}</h2>${i === 1 ? `<span class="tag">${page.words.popular}</span>` : ''}
<div class="price">${escape(amount(page, i))}</div><div>${page.words.month}</div>
<ul>${page.items
          .slice(0, 2 + i * 2)
          .map(item => `<li>${escape(item)}</li>`)
          .join('')}</ul><a class="button" href="#s${i + 1}">${page.words.start}</a></section>`,
      )
      .join('\n')}</div>`;
  },

  form: page => `${heading(page)}
<form>${page.items.map((item, i) => field(item, i)).join('\n')}
<button class="button" type="button">${page.words.send}</button></form>`,

  gallery: page => `${heading(page)}
<div class="grid">${page.items.map((item, i) => `<figure id="s${i + 1}">${drawing(page, i, item)}<figcaption>${escape(item)}</figcaption></figure>`).join('\n')}</div>`,

  article: page => `<article>${heading(page)}
${page.items.map((item, i) => `<h2 id="s${i + 1}">${escape(item)}</h2><p>${sentence(page, item)}</p>`).join('\n')}
<blockquote>${escape(page.spec.tagline)}</blockquote></article>`,

  shop: page => `${heading(page)}
${cards(page, (item, i) => `${drawing(page, i, item)}<h2>${escape(item)}</h2><div class="price">${escape(amount(page, i))}</div><button class="button" type="button">${page.words.buy}</button>`)}`,
};

const FIELD_TYPES: readonly (readonly [RegExp, string])[] = [
  [/e-?mail|邮箱/i, 'email'],
  [/password|密码/i, 'password'],
  [/phone|tel|mobile|电话|手机/i, 'tel'],
  [/date|birthday|日期|生日/i, 'date'],
  [/url|website|网址/i, 'url'],
  [/age|number|amount|count|数量|年龄/i, 'number'],
];

function field(item: string, index: number): string {
  const name = `f${index + 1}`;
  const label = escape(item);
  if (/message|comment|note|description|留言|备注|描述/i.test(item)) {
    return `<label id="s${index + 1}">${label}<textarea name="${name}" rows="4"></textarea></label>`;
  }
  const type = FIELD_TYPES.find(([pattern]) => pattern.test(item))?.[1] ?? 'text';
  return `<label id="s${index + 1}">${label}<input name="${name}" type="${type}"></label>`;
}
