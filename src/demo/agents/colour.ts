export type Rgb = readonly [number, number, number];

export const NAMED_COLOURS: Readonly<Record<string, string>> = {
  red: '#dc2626',
  crimson: '#be123c',
  orange: '#ea580c',
  amber: '#d97706',
  yellow: '#eab308',
  lime: '#65a30d',
  green: '#16a34a',
  emerald: '#059669',
  teal: '#0d9488',
  cyan: '#0891b2',
  sky: '#0284c7',
  blue: '#2563eb',
  navy: '#1e3a8a',
  indigo: '#4f46e5',
  violet: '#7c3aed',
  purple: '#9333ea',
  magenta: '#c026d3',
  pink: '#db2777',
  brown: '#92400e',
  gold: '#b8860b',
  grey: '#6b7280',
  gray: '#6b7280',
  black: '#18181b',
  红: '#dc2626',
  橙: '#ea580c',
  黄: '#eab308',
  绿: '#16a34a',
  青: '#0891b2',
  蓝: '#2563eb',
  紫: '#9333ea',
  粉: '#db2777',
};

export function parseHex(hex: string): Rgb {
  const digits = hex.slice(1);
  const full = digits.length === 3 ? [...digits].map(digit => digit + digit).join('') : digits;
  const value = Number.parseInt(full, 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

export const toHex = (rgb: Rgb): string =>
  `#${rgb.map(channel => Math.round(channel).toString(16).padStart(2, '0')).join('')}`;

/** Strong enough to be an accent, whatever the hue (0 to 359). */
export function fromHue(hue: number): string {
  const channel = (offset: number): number => {
    const k = (offset + hue / 30) % 12;
    return 255 * (0.45 - 0.65 * 0.45 * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return toHex([channel(0), channel(8), channel(4)]);
}

/** https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminance(hex: string): number {
  const [r, g, b] = parseHex(hex).map(channel => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** 1 (none) to 21 (black on white). */
export function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** The colour, moved towards black or white until it can be read on this background. */
export function readableOn(background: string, colour: string, wanted = 4.5): string {
  const target: Rgb = luminance(background) > 0.4 ? [0, 0, 0] : [255, 255, 255];
  const from = parseHex(colour);
  for (let step = 0; step <= 20; step += 1) {
    const mixed = toHex(
      from.map((channel, i) => channel + (((target[i] ?? 0) - channel) * step) / 20) as unknown as Rgb,
    );
    if (contrast(background, mixed) >= wanted) return mixed;
  }
  return toHex(target);
}
