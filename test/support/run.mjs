// The entry of `npm start` and `npm test` on a fresh clone: `node test/support/run.mjs TASK [args]`.
// It runs before anything is installed, so it uses nothing but Node, and syntax that an old Node can still read.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const support = join(root, 'out/test/support');
const results = join(root, 'out/results');
const vsix = join(root, 'out/helix-dynamic-ports.vsix');

/** The suites whose results are summed up, in the order in which `test` runs them. */
const suites = ['unit', 'host', 'e2e'];

/** @type {import('node:child_process').ChildProcess | undefined} */
let child;
/** @type {NodeJS.Signals | undefined} */
let stopped;

async function main() {
  const [task = 'test', ...args] = process.argv.slice(2);
  const tasks = {
    start: () => program('start', args),
    test: runAll,
    package: makePackage,
    bench: () => node(join(root, 'out/test/bench/main.cjs'), ...args),
    chaos: () => node(join(root, 'out/test/chaos/main.cjs'), ...args),
    electron: () => program('electron', args),
    unit: () => program('unit-main', args),
    host: () => program('host-main', args),
    e2e: async () => (await makePackage()) || program('e2e-main', args),
  };
  if (!Object.hasOwn(tasks, task))
    throw new Error(`There is no task "${task}". Choose from ${Object.keys(tasks).join(', ')}.`);
  await install();
  await build();
  return tasks[task]();
}

async function runAll() {
  const steps = [
    ['lint', () => npm('run', '--silent', 'lint')],
    ['types', () => npm('run', '--silent', 'types')],
    ['unit', () => program('unit-main', [])],
    ['host', () => program('host-main', [])],
    ['package', makePackage],
    ['e2e', () => program('e2e-main', [])],
  ];
  let failed;
  for (const [name, run] of steps) {
    headline(name);
    const code = await run();
    if (code === 0) continue;
    failed = { name, code };
    break;
  }
  if (failed) console.log(`\nThe step "${failed.name}" failed.${stopped ? ` It was stopped by ${stopped}.` : ''}`);
  const total = sumResults(failed && failed.name);
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  return failed ? failed.code : 0;
}

/** A suite that broke down before it could write its result counts as one failure. */
function sumResults(failedStep) {
  const total = { passed: 0, failed: 0 };
  const written = list(results).map(name => name.replace('.json', ''));
  for (const suite of written) {
    const { passed, failed } = JSON.parse(readFileSync(join(results, `${suite}.json`), 'utf8'));
    total.passed += passed;
    total.failed += failed;
  }
  if (suites.includes(failedStep) && !written.includes(failedStep)) total.failed++;
  return total;
}

/** Makes the .vsix, which the e2e suite installs. What the build has put into dist is replaced by its smaller form. */
async function makePackage() {
  await must(node('esbuild.mjs', '--production'), 'The build failed.');
  const vsce = join(root, 'node_modules/@vscode/vsce/vsce');
  return node(
    vsce,
    'package',
    '--no-dependencies',
    '--no-rewrite-relative-links',
    '--allow-missing-repository',
    '--out',
    vsix,
  );
}

/** Installs what package-lock.json names, unless node_modules holds just that. */
async function install() {
  if (isInstalled()) return;
  headline('install');
  await must(
    npm('ci', '--include=dev', '--no-audit', '--no-fund'),
    'npm ci failed. Is the npm registry reachable (npm ping)?',
  );
}

// npm keeps in node_modules a lock file of what it has installed there. Contents are compared rather than times, which a
// checkout changes without need. Optional packages are left out: those of other platforms are never installed.
function isInstalled() {
  const wanted = readLock('package-lock.json');
  const present = readLock('node_modules/.package-lock.json');
  const key = one => one && `${one.version} ${one.integrity}`;
  const needed = Object.keys(wanted).filter(name => name && !wanted[name].optional && !wanted[name].devOptional);
  return (
    needed.every(name => key(present[name]) === key(wanted[name])) &&
    Object.keys(present).every(name => key(present[name]) === key(wanted[name]))
  );
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
  } catch {
    return {};
  }
}

async function build() {
  // What an earlier run has left would pass for this one's.
  for (const folder of [results, join(root, 'out/screenshots')]) rmSync(folder, { recursive: true, force: true });
  await must(node('esbuild.mjs', '--tests'), 'The build failed.');
}

async function must(running, message) {
  if ((await running) !== 0) throw new Error(stopped ? `Stopped by ${stopped}.` : message);
}

const program = (name, args) => node(join(support, `${name}.cjs`), ...args);
const node = (...args) => run(process.execPath, args);

function npm(...args) {
  const cli = process.env.npm_execpath;
  // Without npm around us it is found in PATH; on Windows that is a batch file, which needs the shell.
  return cli && cli.endsWith('.js') ? node(cli, ...args) : run('npm', args, { shell: process.platform === 'win32' });
}

/** Runs a program with our terminal and answers its exit code. */
function run(command, args, options = {}) {
  if (stopped) return Promise.resolve(1);
  return new Promise((resolve, reject) => {
    child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      child = undefined;
      resolve(signal ? 128 + constants.signals[signal] : code);
    });
  });
}

// The program below ends in order by itself; we only pass the word on and wait for it.
function stop(signal) {
  stopped = signal;
  if (child) child.kill(signal);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(signal));

// A signal for npm alone ends npm and the shell between us, and never comes through to us.
const parent = process.ppid;
const watch = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(watch);
  stop('SIGTERM');
}, 500);

const headline = name => console.log(`\n=== ${name}\n`);

function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const number = version =>
    version
      .replace(/^[^\d]*/, '')
      .split('.')
      .map(Number);
  const wanted = number(engines.node);
  const present = number(process.versions.node);
  const first = wanted.findIndex((part, i) => part !== present[i]);
  if (first >= 0 && present[first] < wanted[first]) {
    throw new Error(
      `Node ${wanted.join('.')} or newer is needed, this is ${process.versions.node}. Get one from https://nodejs.org.`,
    );
  }
}

Promise.resolve()
  .then(checkNode)
  .then(main)
  .then(
    code => process.exit(code),
    error => {
      console.error(`\n${error.message}`);
      process.exit(1);
    },
  );
