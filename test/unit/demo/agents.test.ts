import assert from 'node:assert/strict';
import fc from 'fast-check';
import { contrast, readableOn } from '../../../src/demo/agents/colour.ts';
import { generate } from '../../../src/demo/agents/generator.ts';
import { LAYOUTS, type Layout } from '../../../src/demo/agents/layout.ts';
import { plan } from '../../../src/demo/agents/planner.ts';
import { type Result, review } from '../../../src/demo/agents/reviewer.ts';

const make = (prompt: string, layout: Layout | null = null): Result => {
  const spec = plan(prompt, layout);
  return review(spec, generate(spec));
};
const failed = (result: Result): string[] =>
  result.checks.filter(check => !check.ok).map(check => `${check.name}: ${check.detail}`);

describe('demo agents', () => {
  it('understand the layout, the name, the colour, the amounts and what is asked for', () => {
    const spec = plan(
      'A pricing page for "Tidewater", green, with weekly reports, own domain and phone support: $9, $29, $79',
      null,
    );
    assert.equal(spec.layout, 'pricing');
    assert.equal(spec.title, 'Tidewater');
    assert.equal(spec.accent, '#16a34a');
    assert.deepEqual(spec.features, ['Weekly reports', 'Own domain', 'Phone support']);
    assert.deepEqual(spec.amounts, ['$9', '$29', '$79']);
  });

  const requests: readonly [string, Layout][] = [
    ['Create a dark admin dashboard with visitors and revenue', 'dashboard'],
    ['A contact form with name, e-mail and message', 'form'],
    ['portfolio for a photographer', 'gallery'],
    ['A blog about bread', 'article'],
    ['An online shop for pottery', 'shop'],
    ['Something for our startup', 'landing'],
    ['为咖啡馆制作一个登录页面，蓝色，包含邮箱、密码', 'form'],
  ];
  for (const [prompt, layout] of requests) {
    it(`build a ${layout} from “${prompt}”`, () => {
      const result = make(prompt);
      assert.equal(result.layout, layout);
      assert.deepEqual(failed(result), []);
    });
  }

  it('use the words of the request', () => {
    const { html } = make('A contact form called Harbour Office with name, e-mail, date and message in indigo');
    assert.match(html, /<h1>Harbour Office<\/h1>/);
    for (const type of ['text', 'email', 'date']) assert.ok(html.includes(`type="${type}"`), type);
    assert.match(html, /<textarea/);
    assert.match(html, /--accent: #4f46e5/);
  });

  it('answer in the language of the request', () => {
    const { html, spec } = make('为“海风”咖啡馆做一个落地页，深色，包含手冲咖啡、甜点和外送');
    assert.equal(spec.title, '海风');
    assert.equal(spec.theme, 'dark');
    assert.deepEqual(spec.features, ['手冲咖啡', '甜点', '外送']);
    assert.match(html, /<html lang="zh-CN">/);
    assert.match(html, /立即开始/);
  });

  it('build the layout that was chosen, whatever the words say', () => {
    for (const layout of LAYOUTS) {
      const result = make('A blog about pricing of shops with stones, shells and sand', layout);
      assert.equal(result.layout, layout);
      assert.deepEqual(failed(result), []);
    }
  });

  it('give the same page for the same request, and another for another', () => {
    assert.equal(make('A shop for lamps').html, make('A shop for lamps').html);
    assert.notEqual(make('A shop for lamps').html, make('A shop for chairs').html);
  });

  it('keep any request text, and nothing of it as markup', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }),
        fc.constantFrom(null, ...LAYOUTS),
        (prompt, layout) => {
          const { html } = make(prompt, layout);
          assert.equal(html.match(/<h1>/g)?.length, 1);
          assert.doesNotMatch(html, /<script|<img|undefined|NaN/);
        },
      ),
      { numRuns: 300 },
    );
    const hostile = make('A page called "<img src=x onerror=alert(1)>" with <script>x</script>, "quotes" and \'more\'');
    assert.doesNotMatch(hostile.html, /<script|<img/);
    assert.match(hostile.html, /&lt;img src=x onerror=alert\(1\)&gt;/);
  });

  it('make colours readable', () => {
    assert.equal(Math.round(contrast('#000000', '#ffffff')), 21);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffff }), fc.constantFrom('#ffffff', '#0f1115'), (value, ground) => {
        const colour = `#${value.toString(16).padStart(6, '0')}`;
        assert.ok(contrast(ground, readableOn(ground, colour)) >= 4.5);
      }),
    );
    assert.deepEqual(failed(make('A yellow landing page')), []);
    assert.deepEqual(failed(make('A dark navy landing page')), []);
  });
});
