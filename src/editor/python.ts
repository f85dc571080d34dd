import * as vscode from 'vscode';
import { within } from '../base/async.ts';
import type { PythonProvider } from '../session/outcomes.ts';
import { pythonOf } from '../session/python.ts';
import { pythonSetting } from './settings.ts';

const PYTHON_EXTENSION = 'ms-python.python';
/** It looks for interpreters while it starts; a stack does not wait for that much longer than for Python itself. */
const EXTENSION_MS = 10_000;

/** What we use of the Python extension's API (https://github.com/microsoft/vscode-python/wiki/Python-Environment-APIs). */
interface PythonApi {
  readonly environments?: {
    getActiveEnvironmentPath?(resource?: vscode.Uri): { readonly id: string; readonly path: string };
    resolveEnvironment?(
      environment: unknown,
    ): Promise<{ readonly executable?: { readonly uri?: vscode.Uri } } | undefined>;
  };
}

/** The folder's Python: the setting `helix.python`, then what the Python extension has selected, then what is found. */
export function editorPython(folder: vscode.WorkspaceFolder): PythonProvider {
  return async plan => {
    const setting = pythonSetting(folder);
    const selected = setting ? undefined : await within(EXTENSION_MS, selectedPython(folder.uri));
    return pythonOf(plan, { setting, selected });
  };
}

/** Undefined where the extension is missing, disabled, or of a version whose API is another. */
async function selectedPython(folder: vscode.Uri): Promise<string | undefined> {
  const extension = vscode.extensions.getExtension<PythonApi>(PYTHON_EXTENSION);
  if (!extension) return undefined;
  try {
    const { environments } = extension.isActive ? extension.exports : await extension.activate();
    const active = environments?.getActiveEnvironmentPath?.(folder);
    if (!active) return undefined;
    const resolved = await environments?.resolveEnvironment?.(active);
    return resolved?.executable?.uri?.fsPath ?? active.path;
  } catch {
    // Its failure is its own to tell; a Python is found without it, too.
    return undefined;
  }
}
