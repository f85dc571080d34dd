/** The kinds of page that the generator can build. */
export const LAYOUTS = ['landing', 'dashboard', 'pricing', 'form', 'gallery', 'article', 'shop'] as const;
export type Layout = (typeof LAYOUTS)[number];

export const isLayout = (value: unknown): value is Layout => LAYOUTS.some(layout => layout === value);

/** What the planner understood of the request; all that the generator needs. */
export interface PageSpec {
  readonly layout: Layout;
  readonly title: string;
  readonly tagline: string;
  readonly language: 'en' | 'zh-CN';
  readonly theme: 'light' | 'dark';
  /** `#rrggbb` */
  readonly accent: string;
  /** The things asked for, in their order. */
  readonly features: readonly string[];
  /** Amounts asked for, such as `$9`. */
  readonly amounts: readonly string[];
  /** The same request gives the same page: what is not asked for is drawn from this. */
  readonly seed: number;
}
