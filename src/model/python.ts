/** Who installs packages into an interpreter's environment. */
export type PackageManager = 'pip' | 'uv' | 'poetry';

/** The Python that a folder's services run with. */
export interface Interpreter {
  /** The executable: absolute. */
  readonly path: string;
  /** Where it was found, for people: `helix.python`, `.venv`, `PATH`, … */
  readonly source: string;
  readonly manager: PackageManager;
  /** The system's own, into which pip installs nothing (PEP 668). */
  readonly isExternallyManaged: boolean;
}
