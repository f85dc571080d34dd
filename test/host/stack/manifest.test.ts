import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { api } from '../helix.ts';

interface Manifest {
  readonly contributes: { readonly commands: readonly { readonly command: string }[] };
}

describe('the manifest', () => {
  it('contributes exactly the commands that are registered', async () => {
    await api();
    const manifest = vscode.extensions.getExtension('helix.helix-dynamic-ports')!.packageJSON as Manifest;
    const contributed = manifest.contributes.commands.map(one => one.command).sort();
    const internal = [
      'helix.services.focus',
      'helix.services.open',
      'helix.services.removeView',
      'helix.services.resetViewLocation',
      'helix.services.toggleVisibility',
    ];
    const registered = (await vscode.commands.getCommands(true)).filter(
      id => id.startsWith('helix.') && !internal.includes(id),
    );
    assert.deepEqual(registered.sort(), contributed);
  });
});
