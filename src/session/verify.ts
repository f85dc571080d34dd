import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { within } from '../base/async.ts';
import { DisposableStore } from '../base/dispose.ts';
import { messageOf, UserError } from '../base/errors.ts';
import { userName } from '../base/user.ts';
import { BANDS, FIXED_PORTS } from '../model/defaults.ts';
import { HEALTH_PATH } from '../model/endpoints.ts';
import type { PlannedService } from '../model/plan.ts';
import { formatBand, inBand, type Port } from '../model/port.ts';
import type { ServiceId, ServiceSnapshot } from '../model/service.ts';
import {
  VERIFY_ITEMS,
  VERIFY_TITLES,
  type VerifyItemId,
  type VerifyReport,
  type VerifyResult,
} from '../model/verify-report.ts';
import { formatLatency } from '../model/wording.ts';
import { allocateFromBand } from '../ports/allocate.ts';
import { askLease } from '../ports/lease.ts';
import { readRecord, writeRecord } from '../run/record.ts';
import type { BrowserFinding } from './browser-check.ts';
import type { Stack } from './stack.ts';

export interface VerifyOptions {
  /** Kill a service and move it from its port as well, where the user has agreed; undefined, or the reason why not. */
  readonly sparing: string | undefined;
  /** Looks for the API from this page. */
  readonly browser: (pageUrl: string) => Promise<BrowserFinding>;
  readonly onProgress?: (title: string) => void;
  readonly signal?: AbortSignal;
}

/** What was done, and what was seen of it. */
interface Observation {
  readonly done: string;
  readonly seen: string;
}

/** Thrown by an item that cannot be done here. */
class Skipped extends Error {}

const COME_BACK_MS = 120_000;
const ANSWER_MS = 5_000;

/**
 * The guide's checklist, done with the running stack: nothing is taken from what services say of themselves alone.
 * What it kills comes back, and what it moves is moved back.
 */
export async function verifyDeployment(stack: Stack, options: VerifyOptions): Promise<VerifyReport> {
  const at = Date.now();
  const before = stateOf(stack);
  const run = new Verification(stack, options);
  const results: VerifyResult[] = [];
  for (const id of VERIFY_ITEMS) {
    if (!options.signal?.aborted) options.onProgress?.(VERIFY_TITLES[id]);
    results.push(await run.item(id));
  }
  const left = differences(before, stateOf(stack));
  return { workspace: stack.plan.workspace, at, results, left };
}

class Verification {
  private readonly service: PlannedService;

  constructor(
    private readonly stack: Stack,
    private readonly options: VerifyOptions,
  ) {
    const { services, source } = stack.plan;
    const found = services.find(one => one.id === 'api') ?? services.find(one => one.readiness.kind === 'http');
    if (!found) throw new UserError(`There is no API to verify in ${source}: no service "api", and none over HTTP.`);
    this.service = found;
  }

  async item(id: VerifyItemId): Promise<VerifyResult> {
    const started = performance.now();
    const result = (outcome: VerifyResult['outcome'], { done, seen }: Observation): VerifyResult => {
      return { id, outcome, title: VERIFY_TITLES[id], done, seen, ms: Math.round(performance.now() - started) };
    };
    try {
      return result('passed', await this.observe(id));
    } catch (error) {
      const outcome = error instanceof Skipped ? 'skipped' : 'failed';
      return result(outcome, { done: WHAT_IS_DONE[id], seen: messageOf(error) });
    }
  }

  private async observe(id: VerifyItemId): Promise<Observation> {
    if (this.options.signal?.aborted) throw new Skipped('it was cancelled');
    switch (id) {
      case 'portDiscovery':
        return this.portDiscovery();
      case 'dynamicPort':
        return this.dynamicPort();
      case 'browser':
        return this.browser();
      case 'health':
        return this.health();
      case 'recovery':
        return this.recovery();
      case 'portConflict':
        return this.portConflict();
    }
  }

  private get snapshot(): ServiceSnapshot {
    return this.stack.snapshot.services.find(one => one.id === this.service.id)!;
  }

  /** The service as it runs. */
  private running(): ServiceSnapshot & { readonly port: number; readonly pid: number; readonly url: string } {
    const { port, pid, url, state, label, ...rest } = this.snapshot;
    if (state.kind !== 'healthy') throw new Error(`${label} is ${state.kind}. Start HELIX first.`);
    if (port === undefined || url === undefined) throw new Error(`${label} has no port that could be called.`);
    if (pid === undefined) throw new Skipped(`${label} was running before HELIX and is not ours.`);
    return { port, pid, url, state, label, ...rest };
  }

  private async portDiscovery(): Promise<Observation> {
    const request = this.service.port;
    const band = request.kind === 'band' ? request.band : BANDS.api;
    const owner = {
      pid: process.pid,
      user: userName(),
      workspace: this.stack.plan.workspace,
      service: 'verify',
    };
    const lease = await allocateFromBand(band, { owner });
    try {
      if (!inBand(band, lease.port)) throw new Error(`${lease.port} lies outside of ${formatBand(band)}.`);
      const holder = await askLease(lease.port, ANSWER_MS);
      if (typeof holder !== 'object' || holder.pid !== process.pid) throw new Error(`${lease.port} is not held by us.`);
      const seen = `${lease.port} was free on every local address, and nobody else could have got it meanwhile`;
      return { done: `asked for a free port of ${formatBand(band)}`, seen };
    } finally {
      await lease.release();
    }
  }

  private async dynamicPort(): Promise<Observation> {
    const { label, port, url } = this.running();
    const request = this.service.port;
    if (request.kind !== 'band') throw new Skipped(`${label} has a fixed port by its configuration.`);
    if (!inBand(request.band, port) || FIXED_PORTS.includes(port)) {
      throw new Error(`${label} is on ${port}, which is no dynamic port of ${formatBand(request.band)}.`);
    }
    const holder = await askLease(port, ANSWER_MS);
    const isOurs = typeof holder === 'object' && holder.workspace === this.stack.plan.workspace;
    if (!isOurs) throw new Error(`${port} is not leased by this workspace, so another could be given it too.`);
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'manual' });
    await answer.body?.cancel();
    return {
      done: `looked at who holds the port of ${label}, and called it`,
      seen: `${url} answers (${answer.status}); ${port} lies in ${formatBand(request.band)} and is leased by supervisor pid ${holder.pid}`,
    };
  }

  private async browser(): Promise<Observation> {
    const { label, url } = this.running();
    const isHelix = this.service.readiness.kind === 'http' && this.service.readiness.path === HEALTH_PATH;
    if (!isHelix)
      throw new Skipped(`Pages recognise a HELIX API by ${HEALTH_PATH}, and ${label} has its health elsewhere.`);
    const page = url + this.service.openPath;
    const finding = await this.options.browser(page);
    const how = `with ${finding.with}`;
    if (finding.base === undefined) throw new Error(`no API was found from ${page} ${how}: ${finding.problem}`);
    if (!finding.reached) throw new Error(`${finding.base} was found ${how} and not reached: ${finding.problem}`);
    if (new URL(finding.base).port !== new URL(url).port && finding.by !== 'proxy') {
      throw new Error(`${finding.base} was found ${how}, and this workspace's API is at ${url}`);
    }
    return {
      done: `opened ${page}, let port-discovery.js find the API and called ${HEALTH_PATH}, ${how}`,
      seen: `found at ${finding.base} (${finding.by ?? 'unknown how'}), and it answered`,
    };
  }

  private async health(): Promise<Observation> {
    const { url } = this.running();
    const { readiness } = this.service;
    const path = readiness.kind === 'http' ? readiness.path : '/';
    const started = performance.now();
    const answer = await fetch(url + path, { signal: AbortSignal.timeout(ANSWER_MS) });
    const text = await answer.text();
    const took = performance.now() - started;
    const wanted = readiness.kind === 'http' ? readiness.status : 200;
    if (answer.status !== wanted) throw new Error(`${url + path} answers ${answer.status}: ${text.slice(0, 200)}`);
    return { done: `GET ${url + path}`, seen: `${answer.status} after ${formatLatency(took)}: ${text.slice(0, 200)}` };
  }

  private async recovery(): Promise<Observation> {
    this.spare();
    const before = this.running();
    process.kill(before.pid, 'SIGKILL');
    const started = performance.now();
    const after = await this.untilHealthy(one => one.pid !== before.pid);
    const took = Math.round(performance.now() - started);
    return {
      done: `killed ${before.label} (pid ${before.pid}) with SIGKILL`,
      seen: `healthy again after ${took} ms as pid ${after.pid} on ${after.port}`,
    };
  }

  /** A stranger takes the port while the service is away; afterwards it gets its old port again. */
  private async portConflict(): Promise<Observation> {
    this.spare();
    const { port, label } = this.running();
    if (this.service.port.kind !== 'band') throw new Skipped(`${label} has a fixed port by its configuration.`);
    let stranger: Server | undefined;
    let moved: ServiceSnapshot | undefined;
    try {
      await this.stop();
      stranger = await occupy(port);
      await this.start(this.options.signal);
      moved = await this.untilHealthy();
    } finally {
      await this.moveBack(port, stranger);
    }
    if (moved.port === port) throw new Error(`${label} is said to be on ${port}, which a stranger had.`);
    return {
      done: `stopped ${label}, listened on its port ${port} as a stranger, and started it; then moved it back`,
      seen: `it took ${moved.port} and was healthy there; now it is on ${this.snapshot.port} again`,
    };
  }

  private async moveBack(port: number, stranger: Server | undefined): Promise<void> {
    if (stranger) {
      await this.stop();
      stranger.close();
      await once(stranger, 'close');
    }
    const { dir } = this.stack;
    const record = await readRecord(dir, this.service.id);
    // Its supervisor has ended, so that nobody else writes this; the next one tries this port first.
    if (record && stranger) await writeRecord(dir, { ...record, port: port as Port });
    await this.start();
    await this.untilHealthy();
  }

  private spare(): void {
    if (this.options.sparing !== undefined) throw new Skipped(this.options.sparing);
  }

  private async stop(): Promise<void> {
    const { left } = await this.stack.stop([this.service.id]);
    if (left[0]) throw new Error(`${left[0].id} could not be stopped: ${left[0].reason}`);
  }

  /** Without a signal where something is to be put right again, which is not cancelled. */
  private async start(signal?: AbortSignal): Promise<void> {
    const outcome = await this.stack.start({ only: [this.service.id], ...(signal && { signal }) });
    if (outcome.kind === 'failed') throw new Error(outcome.failures.map(one => one.problem.message).join('; '));
    if (outcome.kind === 'cancelled') throw new Skipped('it was cancelled');
  }

  private async untilHealthy(fits: (service: ServiceSnapshot) => boolean = () => true): Promise<ServiceSnapshot> {
    const isOver = (): boolean => {
      const { kind } = this.snapshot.state;
      return kind === 'failed' || (kind === 'healthy' && fits(this.snapshot));
    };
    const store = new DisposableStore();
    const over = new Promise<void>(resolve => {
      const look = (): void => (isOver() ? resolve() : undefined);
      store.add(this.stack.onChange(look));
      look();
    });
    await within(COME_BACK_MS, over);
    store.dispose();
    const { state } = this.snapshot;
    if (state.kind === 'failed') throw new Error(`${this.service.label} failed: ${state.problem.message}`);
    if (isOver()) return this.snapshot;
    throw new Error(`${this.service.label} is ${this.snapshot.state.kind} after ${COME_BACK_MS / 1000} s.`);
  }
}

const WHAT_IS_DONE: Readonly<Record<VerifyItemId, string>> = {
  portDiscovery: 'asked for a free port',
  dynamicPort: 'looked at who holds the API’s port, and called it',
  browser: 'let port-discovery.js find the API from its page',
  health: 'asked the API for its health',
  recovery: 'killed the API',
  portConflict: 'took the API’s port while it was away',
};

async function occupy(port: number): Promise<Server> {
  const server = createServer(socket => socket.destroy()).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

type State = ReadonlyMap<ServiceId, string>;

/** What must be the same afterwards. A process that was killed on purpose has another pid. */
const stateOf = ({ snapshot }: Stack): State =>
  new Map(
    snapshot.services.map(({ id, state, port }) => [
      id,
      state.kind === 'healthy' && port !== undefined ? `healthy on ${port}` : state.kind,
    ]),
  );

const differences = (before: State, after: State): string[] =>
  [...before].flatMap(([id, was]) =>
    after.get(id) === was ? [] : [`${id} was ${was}, and is ${after.get(id) ?? 'gone'}`],
  );
