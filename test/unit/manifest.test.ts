import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HELP } from '../../src/cli/help.ts';
import { COMMANDS, CONTEXT_KEYS, ROW, VIEW_CONTAINER, VIEW_SERVICES } from '../../src/editor/ids.ts';

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly title: string }[];
    readonly menus: Readonly<Record<string, readonly { readonly command: string; readonly when: string }[]>>;
    readonly views: Readonly<Record<string, readonly { readonly id: string }[]>>;
    readonly configuration: { readonly properties: Readonly<Record<string, unknown>> };
    readonly viewsWelcome: readonly { readonly contents: string; readonly when: string }[];
  };
}

const root = rootAbove(__dirname);
const text = readFileSync(join(root, 'package.json'), 'utf8');
const { contributes } = JSON.parse(text) as Manifest;
const strings = JSON.parse(readFileSync(join(root, 'package.nls.json'), 'utf8')) as Record<string, string>;

/** package.json against the code: what the one names, the other has. */
describe('package.json', () => {
  it('contributes exactly the commands of the code', () => {
    assert.deepEqual(contributes.commands.map(one => one.command).sort(), Object.values(COMMANDS).slice().sort());
  });

  it('uses only commands, views and context keys that exist', () => {
    const known = new Set<string>([...Object.values(COMMANDS), ...Object.values(CONTEXT_KEYS), VIEW_SERVICES]);
    const menus = Object.values(contributes.menus).flat();
    const used = [
      ...menus.map(one => one.command),
      ...[...menus, ...contributes.viewsWelcome].flatMap(one => one.when.match(/\bhelix\.\w+/g) ?? []),
      ...contributes.viewsWelcome.flatMap(
        one => (strings[one.contents.slice(1, -1)] ?? '').match(/(?<=command:)helix\.\w+/g) ?? [],
      ),
    ];
    assert.deepEqual(
      used.filter(name => !known.has(name)),
      [],
    );
    assert.deepEqual(Object.keys(contributes.views), [VIEW_CONTAINER]);
  });

  it('looks for rows of the tree by words that rows have', () => {
    const words = Object.values(contributes.menus)
      .flat()
      .flatMap(one => [...one.when.matchAll(/viewItem =~ \/\\b([\w ]+)\\b\/|viewItem == (\w+)/g)])
      .flatMap(match => (match[1] ?? match[2])!.split(' '));
    const known = new Set<string>([
      ...Object.values(ROW),
      'running',
      'idle',
      'url',
      'own',
      'external',
      'rolls',
      'scales',
      'several',
    ]);
    assert.deepEqual(
      words.filter(word => !known.has(word)),
      [],
    );
  });

  it('is told in the README: every command of the palette and of the command line, and every setting', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const titles = contributes.commands.map(one => strings[one.title.slice(1, -1)]!.replace('…', ''));
    assert.deepEqual(
      titles.filter(title => !new RegExp(`\\*\\*(HELIX: )?${escaped(title)}\\*\\*`).test(readme)),
      [],
    );
    const words = [...HELP.matchAll(/^ {2}(?<word>[a-z]+) /gm)].map(match => match.groups!['word']!);
    assert.ok(words.includes('start') && words.includes('doctor'));
    const table = readme.slice(readme.indexOf('## Commands'), readme.indexOf('## Configuration'));
    assert.deepEqual(
      words.filter(word => !new RegExp(`\`${word}[ \`]`).test(table)),
      [],
    );
    // Those of one group are named by their first, and then by their last words alone.
    const settings = Object.keys(contributes.configuration.properties);
    const isTold = (name: string): boolean =>
      readme.includes(`\`${name}\``) || readme.includes(`\`${name.slice(name.lastIndexOf('.'))}\``);
    assert.deepEqual(
      settings.filter(name => !isTold(name)),
      [],
    );
  });

  it('has every string that it refers to, and no other', () => {
    const used = [...text.matchAll(/"%([\w.]+)%"/g)].map(match => match[1]!);
    assert.deepEqual([...new Set(used)].sort(), Object.keys(strings).sort());
  });
});

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder));
}

const escaped = (text: string): string => text.replaceAll(/[.?]/g, '\\$&');
