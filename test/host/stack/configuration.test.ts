import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Finding } from '../../../src/model/finding.ts';
import { waitFor } from '../../support/wait.ts';
import { api, folder, run } from '../helix.ts';

const configUri = (): vscode.Uri => vscode.Uri.joinPath(folder().uri, 'helix.config.json');

describe('helix.config.json in the editor', () => {
  let document: vscode.TextDocument;

  before(async () => {
    await api();
    document = await vscode.workspace.openTextDocument(configUri());
    await vscode.window.showTextDocument(document);
  });
  afterEach(() => run('workbench.action.files.revert'));
  after(() => run('workbench.action.closeAllEditors'));

  async function replaceWith(text: string): Promise<void> {
    const edit = new vscode.WorkspaceEdit();
    const whole = new vscode.Range(document.positionAt(0), document.positionAt(document.getText().length));
    edit.replace(configUri(), whole, text);
    assert.ok(await vscode.workspace.applyEdit(edit));
  }

  const problems = (source: string | undefined): vscode.Diagnostic[] =>
    vscode.languages.getDiagnostics(configUri()).filter(one => source === undefined || one.source === source);
  const seen = (): unknown => problems(undefined).map(({ source, message }) => ({ source, message }));

  it('has squiggles under what contradicts itself, until it is mended', async () => {
    await replaceWith(`{
  // a comment is no problem
  "services": {
    "api": { "command": ["x"], "dependsOn": ["postgre"] },
    "postgres": { "type": "postgres" },
    "a": { "command": ["x"], "dependsOn": ["b"] },
    "b": { "command": ["x"], "dependsOn": ["a"], "port": { "from": 9, "to": 8 } }
  }
}`);
    await waitFor('squiggles', () => problems('HELIX').length === 3, { seen });
    const texts = problems('HELIX').map(one => [document.getText(one.range), one.message]);
    assert.deepEqual(texts, [
      ['"postgre"', 'There is no service "postgre". Did you mean "postgres"?'],
      ['"a"', 'These services wait for each other: a → b → a.'],
      ['{ "from": 9, "to": 8 }', 'The band 9-8 is empty: "from" is greater than "to".'],
    ]);
    await replaceWith('{ "services": { "api": { "command": ["x"] } } }');
    await waitFor('no squiggles', () => problems('HELIX').length === 0, { seen });
  });

  it('is checked, completed and explained by its schema', async function () {
    if (!vscode.extensions.getExtension('vscode.json-language-features')) return this.skip();
    await replaceWith('{ "services": { "api": { "comand": ["x"] } } }');
    await waitFor('a squiggle of the schema', () => problems(undefined).some(one => /comand/.test(one.message)), {
      seen,
    });
    const at = document.positionAt(document.getText().indexOf('"comand"'));
    const labels = async (): Promise<string[]> => {
      const command = 'vscode.executeCompletionItemProvider';
      const { items } = await run<vscode.CompletionList>(command, configUri(), at);
      return items.map(one => (typeof one.label === 'string' ? one.label : one.label.label));
    };
    await waitFor('completion', async () => (await labels()).some(label => label.includes('readiness')), {
      seen: labels,
    });
    const hover = async (): Promise<string> => {
      const inside = document.positionAt(document.getText().indexOf('services') + 1);
      const hovers = await run<vscode.Hover[]>('vscode.executeHoverProvider', configUri(), inside);
      return hovers.flatMap(one => one.contents.map(part => (typeof part === 'string' ? part : part.value))).join('\n');
    };
    await waitFor('hover text', async () => /services of this workspace by id/.test(await hover()), { seen: hover });
  });

  it('is created only where there is none', async () => {
    const before = await readFile(configUri().fsPath, 'utf8');
    assert.equal(await run<string>('helix.createConfig'), configUri().fsPath);
    assert.equal(await readFile(configUri().fsPath, 'utf8'), before);
    assert.equal(vscode.window.activeTextEditor?.document.uri.fsPath, configUri().fsPath);
  });
});

describe('HELIX: Diagnose', () => {
  after(() => run('workbench.action.closeAllEditors'));

  it('shows what is wrong as a read-only page, the same as it answers', async () => {
    const file = join(folder().uri.fsPath, '.env');
    await vscode.workspace.fs.writeFile(vscode.Uri.file(file), Buffer.from('API_PORT=8000\n'));
    try {
      const findings = await run<readonly Finding[]>('helix.diagnose');
      assert.ok(findings.some(one => one.id === 'env-hard-coded-port'));
      const page = vscode.window.activeTextEditor?.document;
      assert.equal(page?.uri.scheme, 'helix-doctor');
      assert.match(page.getText(), /# HELIX: Diagnose/);
      for (const { id } of findings) assert.ok(page.getText().includes(`(${id})`), id);
    } finally {
      await rm(file);
    }
  });
});

describe('HELIX: Who has my port?', () => {
  afterEach(async () => {
    await run('helix.stopAll');
    await run('notifications.clearAll');
  });

  it('names the service, its process and its workspace', async () => {
    await run('helix.start');
    const [stack] = (await api()).stacks();
    const service = stack!.services.find(one => one.id === 'api')!;
    const text = await run<string>('helix.whoHasPort', service.port);
    assert.match(text, new RegExp(`^Port ${service.port} is in use by a HELIX service`));
    assert.ok(text.includes(`api of ${folder().uri.fsPath}`), text);
    assert.match(text, new RegExp(`pid +${service.pid}\n`));
  });
});
