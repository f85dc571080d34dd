import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { drawEvent, type Event, type Harm } from './events.ts';
import { Jobs } from './jobs.ts';
import { Lab, type Service, SERVICES } from './lab.ts';
import { Random } from './random.ts';
import { statusViolations, violations } from './truth.ts';
import { Window } from './window.ts';

export interface ChaosOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly say: (line: string) => void;
  /** Well again within that, milliseconds, beyond the services' own start; the bar where it is not given. */
  readonly limitMs?: number;
  /** In a window of a real VS Code, whose extension host is killed as well. */
  readonly inWindow?: boolean;
  /** Asked before each round. */
  readonly isOver?: () => boolean;
}

export interface Round {
  readonly title: string;
  /** From the harm until all was well again, milliseconds. */
  readonly recoveryMs: number;
  /** The same without what the services themselves took to start. */
  readonly beyondMs: number;
}

export interface ChaosResult {
  readonly rounds: readonly Round[];
  readonly violations: readonly string[];
  readonly jobs: number;
}

const RECOVERY_MS = 10_000;
/** How long an event is looked at in all. */
const GIVE_UP_MS = 60_000;
const LOOK_MS = 25;

/** More exits than five of one service within a minute are a crash loop by design, and not what is asked here. */
const POLICY_EXITS = 4;
const POLICY_WINDOW_MS = 62_000;

/** Runs the sequence of events that the seed stands for against a demo of its own. */
export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const lab = await Lab.make();
  let window: Window | undefined;
  try {
    if (options.inWindow) window = await Window.open(lab);
    return await new Run(lab, options, window).whole();
  } finally {
    await window?.dispose();
    await lab.dispose();
  }
}

class Run {
  private readonly random: Random;
  private readonly jobs = new Jobs();
  private readonly rounds: Round[] = [];
  private readonly violations: string[] = [];
  private readonly exits = new Map<Service, number[]>();

  constructor(
    private readonly lab: Lab,
    private readonly options: ChaosOptions,
    private readonly window: Window | undefined,
  ) {
    this.random = new Random(options.seed);
  }

  async whole(): Promise<ChaosResult> {
    const { lab, options } = this;
    await lab.must('start', '--detach');
    lab.watch();
    const left = await this.untilWell(Date.now());
    if (left.length > 0) throw new Error(`The demo did not start well: ${left.join('; ')}`);
    for (let number = 1; number <= options.rounds && !options.isOver?.(); number++) await this.round(number);
    const lost = await this.jobs.lost(lab.row('api')?.url ?? '');
    this.violations.push(...lost.map(one => `at the end: ${one}`));
    return { rounds: this.rounds, violations: this.violations, jobs: this.jobs.count };
  }

  private async round(number: number): Promise<void> {
    const { lab, options } = this;
    const event = drawEvent(this.random, this.window);
    await this.untilPolicyAllows(event);
    const before = new Map(lab.rows.map(row => [row.id, row]));
    const stateless = SERVICES.filter(id => !remembersPort(lab.dir, id));
    const early = await this.jobs.submit(lab.row('api')?.url ?? '').catch((error: unknown) => String(error));
    let harm: Harm;
    try {
      harm = await event.run(lab);
    } catch (error) {
      harm = { since: Date.now(), problems: [String(error)] };
    }
    const problems = [...(harm.problems ?? [])];
    const left = await this.untilWell(harm.since);
    const recoveryMs = Date.now() - harm.since;
    const beyondMs = Math.max(0, recoveryMs - this.ownStart(harm.since));
    problems.push(...left);
    if (beyondMs > (options.limitMs ?? RECOVERY_MS)) problems.push(`well only after ${recoveryMs} ms`);
    for (const id of event.spared) {
      if (lab.row(id)?.pid !== before.get(id)?.pid) problems.push(`${id} was restarted: another pid than before`);
    }
    // A damaged record, from an earlier round too, may cost the sticky port, and nothing else.
    for (const id of SERVICES.filter(one => !event.mayMove?.includes(one) && !stateless.includes(one))) {
      const [was, is] = [before.get(id)?.port, lab.row(id)?.port];
      // Started anew, the proxy may have the address that it would have had.
      if (was !== is && !(id === 'proxy' && is === lab.proxyPort))
        problems.push(`${id} has moved from ${was} to ${is}`);
    }
    problems.push(...(await this.jobProblems(early)));
    await harm.undo?.();
    const status = problems.length === 0 ? `${seconds(recoveryMs)}` : 'VIOLATION';
    options.say(`${String(number).padStart(4)}  ${status.padEnd(9)}  ${event.title}`);
    for (const problem of problems) options.say(`        - ${problem}`);
    this.violations.push(...problems.map(one => `round ${number} (${event.title}): ${one}`));
    if (left.length === 0) this.rounds.push({ title: event.title, recoveryMs, beyondMs });
    else await this.heal();
  }

  /** What is still wrong when it has not become well in time. */
  private async untilWell(since: number): Promise<string[]> {
    for (;;) {
      let left = await violations(this.lab);
      if (left.length === 0) left = await statusViolations(this.lab).catch((error: unknown) => [String(error)]);
      if (left.length === 0) left = (await this.window?.violations()) ?? [];
      if (left.length === 0 || Date.now() - since > GIVE_UP_MS) return left;
      await sleep(LOOK_MS);
    }
  }

  /** Those that were started together took as long as the slowest; the database comes first. */
  private ownStart(since: number): number {
    const own = (id: Service): number => this.lab.ownStart(id, since) ?? 0;
    return own('postgres') + Math.max(own('api'), own('orchestrator'), own('worker'));
  }

  /** A job that was under way and one that comes now must both come out finished. */
  private async jobProblems(early: string): Promise<string[]> {
    const url = this.lab.row('api')?.url ?? '';
    try {
      const jobs = [early, await this.jobs.submit(url)];
      const found = await Promise.all(jobs.map(id => this.jobs.finish(url, id)));
      return found.filter(one => one !== undefined);
    } catch (error) {
      return [`no job can be given: ${String(error)}`];
    }
  }

  private async untilPolicyAllows({ exits = [] }: Event): Promise<void> {
    for (const id of exits) {
      const times = (this.exits.get(id) ?? []).filter(at => Date.now() - at < POLICY_WINDOW_MS);
      if (times.length >= POLICY_EXITS) await sleep(times.at(-POLICY_EXITS)! + POLICY_WINDOW_MS - Date.now());
      this.exits.set(id, [...times, Date.now()]);
    }
  }

  /** After a violation the rest of the sequence is to start from a running stack again. */
  private async heal(): Promise<void> {
    await this.lab.cli('stop');
    await this.lab.cli('start', '--detach');
    await this.untilWell(Date.now());
  }
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

function remembersPort(dir: string, id: Service): boolean {
  try {
    const record = JSON.parse(readFileSync(join(dir, `${id}.json`), 'utf8')) as { port?: unknown };
    return typeof record.port === 'number';
  } catch {
    return false;
  }
}
