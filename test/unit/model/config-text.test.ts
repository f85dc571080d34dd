import { strict as assert } from 'node:assert';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CHECKOUT_FILES, checkoutConfig, type CheckoutFile } from '../../../src/model/checkout.ts';
import { configText } from '../../../src/model/config-text.ts';
import { parseConfig } from '../../../src/model/config.ts';
import { createConfig } from '../../../src/session/create-config.ts';

const all = new Set(Object.keys(CHECKOUT_FILES) as CheckoutFile[]);
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('the text of a new configuration', () => {
  it('says what was detected, and nothing else', () => {
    const detected = checkoutConfig(all);
    const parsed = parseConfig(configText(detected));
    assert(parsed.ok, JSON.stringify(parsed));
    assert.deepEqual(plain(parsed.config), plain(detected));
  });

  it('explains each key once, in lines that fit a screen', () => {
    const text = configText(checkoutConfig(all));
    const comments = text.split('\n').filter(line => line.trim().startsWith('//'));
    assert(comments.length > 5, text);
    assert.equal(new Set(comments).size, comments.length);
    for (const line of text.split('\n')) assert(line.length <= 140, line);
    assert.match(text, /"api": \{\n {6}\/\/ The program .*\n {6}"command": \["\$\{python\}", "-m", "uvicorn"/);
  });

  it('is a skeleton that can be used where nothing was detected', () => {
    const parsed = parseConfig(configText(undefined));
    assert(parsed.ok, JSON.stringify(parsed));
    // What is commented out must be right as well once it is taken in.
    const whole = configText(undefined).replace(/^(\s*)\/\/ (,?")/gm, '$1$2');
    const used = whole.replace('"env": { "PORT": "${port}" }', '"env": { "PORT": "${port}" },');
    const parsedWhole = parseConfig(used);
    assert(parsedWhole.ok, `${used}\n${JSON.stringify(parsedWhole)}`);
    assert.deepEqual(Object.keys(parsedWhole.config.services), ['web', 'postgres']);
  });
});

describe('creating a configuration', () => {
  let folder = '';
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'helix-create-'))));
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('writes what the folder is', async () => {
    for (const path of Object.values(CHECKOUT_FILES)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), '');
    }
    const { file, created, detected } = await createConfig(folder);
    assert.deepEqual([created, detected], [true, true]);
    const parsed = parseConfig(await readFile(file, 'utf8'));
    assert(parsed.ok);
    assert.deepEqual(Object.keys(parsed.config.services), ['postgres', 'api', 'orchestrator', 'worker']);
  });

  it('never writes over one that is there, whatever it says', async () => {
    const { file, created, detected } = await createConfig(folder);
    assert.deepEqual([created, detected], [true, false]);
    await writeFile(file, '{ mine');
    assert.deepEqual(await createConfig(folder), { file, created: false, detected: false });
    assert.equal(await readFile(file, 'utf8'), '{ mine');
  });

  it('says why it cannot be written', async () => {
    await assert.rejects(createConfig(join(folder, 'missing')), /helix\.config\.json cannot be written: ENOENT/);
  });
});
