import { Load } from '../../unit/session/front-load.ts';

/*
 * `rolling-load PORT ENGINE`: the load of the test of rolling restarts, but a big one without pauses. Prints `busy` once
 * requests of each kind were answered; when its input ends it lets what is open finish and prints its figures as JSON.
 */
export interface RollingFigures {
  /** GETs and POSTs that were answered. */
  readonly requests: number;
  /** Event streams and tunnels that came whole. */
  readonly streams: number;
  readonly failedGets: number;
  readonly failedPosts: number;
  readonly droppedStreams: number;
  /** GETs that the clients sent once more, because the server had closed an idle connection. */
  readonly repeated: number;
  readonly p50: number;
  readonly p99: number;
  /** Of the failed GETs the first ones, which no kill excuses. */
  readonly examples: readonly string[];
}

const LOOK_MS = 50;
const EXAMPLES = 5;
const [port, engine] = process.argv.slice(2);
const times: number[] = [];
const load = new Load({
  port: Number(port),
  closesIdle: engine === 'nginx',
  clients: { gets: 24, posts: 8, streams: 8, tunnels: 8 },
  pauseMs: 0,
  onAnswered: ms => times.push(ms),
});

const looking = setInterval(() => {
  if (!load.answered || !load.posted || !load.streams || !load.tunnels) return;
  clearInterval(looking);
  console.log('busy');
}, LOOK_MS);

async function finish(): Promise<void> {
  clearInterval(looking);
  await load.end();
  const { failures } = load;
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.floor((times.length - 1) * part)] ?? NaN;
  const failed = (...kinds: string[]): number => failures.filter(one => kinds.includes(one.of)).length;
  const figures: RollingFigures = {
    requests: load.answered + load.posted,
    streams: load.streams + load.tunnels,
    failedGets: failed('gets'),
    failedPosts: failed('posts'),
    droppedStreams: failed('streams', 'tunnels'),
    repeated: load.repeated,
    p50: at(0.5),
    p99: at(0.99),
    examples: failures
      .filter(one => one.of === 'gets')
      .slice(0, EXAMPLES)
      .map(one => one.what),
  };
  process.stdout.write(JSON.stringify(figures), () => process.exit());
}

process.stdin.on('end', () => void finish()).resume();
