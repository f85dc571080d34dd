/** Who installs packages: into any environment, or as `uv` and `poetry` do into that of their project. */
export type PackageManager = 'pip' | 'uv pip' | 'uv' | 'poetry';

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

export interface Requirement {
  readonly name: string;
  /** When it counts, such as `sys_platform == "win32"`. */
  readonly marker?: string;
}

/** The packages that a requirements.txt names itself; options, and what other files or folders hold, are left out. */
export function requirementsOf(text: string): readonly Requirement[] {
  const lines = text.replace(/\\\r?\n/g, ' ').split(/\r?\n/);
  return lines.flatMap(line => {
    const [, name, marker] =
      /^\s*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?=$|[\s[(;,<>=!~@#])[^;#]*(?:;([^#]*))?/.exec(line) ?? [];
    if (name === undefined) return [];
    return [marker?.trim() ? { name, marker: marker.trim() } : { name }];
  });
}

/** What Python says, in a traceback or when it is asked to run a module: `No module named uvicorn`. */
const MISSING =
  /(?:(?:ModuleNotFoundError|ImportError): |python[\w.]*(?:\.exe)?: )No module named '?(?<name>[A-Za-z_][\w.]*)'?/;

/** The package's module that a service's last words miss, without what is inside it; its last complaint counts. */
export function missingModule(lines: readonly string[]): string | undefined {
  const name = lines.findLast(line => MISSING.test(line))?.match(MISSING)?.groups?.['name'];
  return name?.split('.')[0];
}

/** Distributions that are named otherwise than the module in them. */
const DISTRIBUTIONS: Readonly<Record<string, string>> = {
  bs4: 'beautifulsoup4',
  dotenv: 'python-dotenv',
  jose: 'python-jose',
  jwt: 'PyJWT',
  multipart: 'python-multipart',
  PIL: 'Pillow',
  psycopg2: 'psycopg2-binary',
  yaml: 'PyYAML',
};

export interface InstallOptions {
  readonly interpreter: Interpreter;
  readonly module: string;
  /** Where the commands run. */
  readonly folder: string;
  readonly hasRequirements: boolean;
  readonly platform: NodeJS.Platform;
}

/** The commands that install what the project asks for, or the missing module alone where it asks for nothing. */
export function installCommands(options: InstallOptions): readonly (readonly string[])[] {
  const { interpreter, module, hasRequirements } = options;
  const { path, manager } = interpreter;
  const what = hasRequirements ? ['-r', 'requirements.txt'] : [DISTRIBUTIONS[module] ?? module];
  switch (manager) {
    case 'uv':
      return [['uv', 'sync']];
    case 'poetry':
      return [['poetry', 'install']];
    case 'uv pip':
      return [['uv', 'pip', 'install', '--python', path, ...what]];
    case 'pip': {
      if (!interpreter.isExternallyManaged) return [[path, '-m', 'pip', 'install', ...what]];
      // The system's Python takes no packages from pip; an environment of the folder's own is found at the next start.
      const own = venvPython(options);
      return [
        [path, '-m', 'venv', '.venv'],
        [own, '-m', 'pip', 'install', ...what],
      ];
    }
  }
}

const venvPython = ({ folder, platform }: InstallOptions): string =>
  platform === 'win32' ? `${folder}\\.venv\\Scripts\\python.exe` : `${folder}/.venv/bin/python`;

/** As one types it into a shell of this platform. */
export const commandText = (commands: readonly (readonly string[])[], platform: NodeJS.Platform): string =>
  commands.map(words => words.map(word => quoted(word, platform)).join(' ')).join(' && ');

function quoted(word: string, platform: NodeJS.Platform): string {
  if (/^[\w@%+=:,./\\-]+$/.test(word)) return word;
  return platform === 'win32' ? `"${word}"` : `'${word.replaceAll("'", `'\\''`)}'`;
}
