import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { finished, type Finished, type Lab, type Service, SERVICES, USER_LINES } from './lab.ts';
import type { Random } from './random.ts';
import { type Looks, remains, violations } from './truth.ts';
import type { Window } from './window.ts';

/** One thing that goes wrong, drawn beforehand, so that a seed gives the same sequence whatever comes of it. */
export interface Event {
  readonly title: string;
  /** Services whose process ends under a living supervisor, which its restart policy counts. */
  readonly exits?: readonly Service[];
  /** Those that must not notice: same process before and after. */
  readonly spared: readonly Service[];
  /** Those that may come back on another port. */
  readonly mayMove?: readonly Service[];
  readonly run: (lab: Lab) => Promise<Harm>;
}

export interface Harm {
  /** From here on the recovery is timed (`Date.now()`). */
  readonly since: number;
  /** What went wrong already, beyond what is looked at after every event. */
  readonly problems?: readonly string[];
  /** Takes back what does not heal: a thief goes. */
  readonly undo?: () => Promise<void>;
}

type Draw = (random: Random) => Event;

const others = (...ids: readonly Service[]): Service[] => SERVICES.filter(id => !ids.includes(id));
const now = (): Harm => ({ since: Date.now() });

// Kills

const killService: Draw = random => {
  const id = random.pick(SERVICES);
  return {
    title: `kill -9 ${id}`,
    exits: [id],
    spared: others(id),
    run: async lab => {
      await lab.kill(lab.leader(id));
      return now();
    },
  };
};

const killPostmaster: Draw = () => ({
  title: 'kill -9 the PostgreSQL server itself',
  exits: ['postgres'],
  spared: others('postgres'),
  run: async lab => {
    await lab.kill(lab.postmaster());
    return now();
  },
});

const killSupervisor: Draw = random => {
  const id = random.pick(SERVICES);
  return {
    title: `kill -9 the supervisor of ${id}`,
    spared: others(id),
    run: async lab => {
      await lab.kill(...lab.supervisors(id));
      return now();
    },
  };
};

const killKeeper: Draw = () => ({
  title: 'kill -9 the keeper, start another',
  spared: SERVICES,
  run: async lab => {
    await lab.kill(...lab.keepers());
    lab.startKeeper();
    return now();
  },
});

const killSeveral: Draw = random => {
  const services = random.some(SERVICES, 0);
  const supervisors = random.some(SERVICES, services.length > 1 ? 0 : 2);
  const keeper = random.chance(0.4);
  const names = [...services, ...supervisors.map(id => `supervisor of ${id}`), ...(keeper ? ['keeper'] : [])];
  return {
    title: `kill -9 at once: ${names.join(', ')}`,
    exits: services.filter(id => !supervisors.includes(id)),
    spared: others(...services, ...supervisors),
    run: async lab => {
      const targets = [...services.map(id => lab.leader(id)), ...supervisors.flatMap(id => lab.supervisors(id))];
      await lab.kill(...targets, ...(keeper ? lab.keepers() : []));
      if (keeper) lab.startKeeper();
      return now();
    },
  };
};

const killAll: Draw = random => {
  const clients = random.between(1, 2);
  return {
    title: `kill -9 everything, then ${clients === 1 ? 'start' : 'two starts at once'}`,
    spared: [],
    run: async lab => {
      // The watching client is no part of the stack and looks on.
      await lab.kill(...lab.processes().filter(one => !lab.isClient(one.pid)));
      await lab.kill(...lab.keepers());
      return allOk(Date.now(), await startAtOnce(lab, clients));
    },
  };
};

// Hangs

const hangApi: Draw = () => ({
  title: 'SIGSTOP the API',
  exits: ['api'],
  spared: others('api'),
  run: lab => {
    const leader = lab.leader('api');
    if (leader) lab.signal(leader, 'SIGSTOP');
    return Promise.resolve(now());
  },
});

const pauseSupervisor: Draw = random => {
  const id = random.pick(SERVICES);
  const ms = random.between(100, 3_000);
  return {
    title: `SIGSTOP the supervisor of ${id} for ${ms} ms`,
    spared: SERVICES,
    run: async lab => {
      const [supervisor] = lab.supervisors(id);
      if (supervisor) lab.signal(supervisor, 'SIGSTOP');
      await sleep(ms);
      if (supervisor) lab.signal(supervisor, 'SIGCONT');
      return now();
    },
  };
};

// Thefts

const HAS_IPV6 = Object.values(networkInterfaces()).some(list => list?.some(one => one.address === '::1'));
const ADDRESSES = ['127.0.0.1', '0.0.0.0', ...(HAS_IPV6 ? ['::1', '::'] : [])];

interface Theft {
  readonly address: string;
  /** The supervisor sleeps meanwhile, so that the thief is certain to be first. */
  readonly certain: boolean;
}

const drawTheft = (random: Random): Theft => ({ address: random.pick(ADDRESSES), certain: random.chance(0.5) });

const stealPort: Draw = random => {
  const theft = drawTheft(random);
  return {
    title: `kill -9 the API and take its port on ${theft.address}${theft.certain ? '' : ', if the thief is first'}`,
    exits: ['api'],
    spared: others('api'),
    mayMove: ['api'],
    run: async lab => {
      const thief = await steal(lab, theft);
      return { since: Date.now(), undo: () => closed(thief) };
    },
  };
};

const THIEF_MS = 100;

/** Ends the API's process and binds its port before it is back; undefined when the thief was too late. */
async function steal(lab: Lab, { address, certain }: Theft): Promise<Server | undefined> {
  const port = lab.row('api')?.port;
  const [supervisor] = lab.supervisors('api');
  if (certain && supervisor) lab.signal(supervisor, 'SIGSTOP');
  try {
    const leader = lab.leader('api');
    if (leader) lab.signal(leader, 'SIGKILL');
    for (const limit = Date.now() + THIEF_MS; port && Date.now() < limit; await sleep(1)) {
      const thief = createServer(socket => socket.destroy());
      thief.listen({ port, host: address, ipv6Only: address === '::' });
      if (
        await once(thief, 'listening').then(
          () => true,
          () => false,
        )
      )
        return thief;
    }
    return undefined;
  } finally {
    if (certain && supervisor) lab.signal(supervisor, 'SIGCONT');
  }
}

async function closed(server: Server | undefined): Promise<void> {
  if (!server) return;
  server.close();
  await once(server, 'close');
}

// Commands

const startTwice: Draw = random => {
  const clients = random.between(2, 3);
  return {
    title: `${clients} starts at once while it runs`,
    spared: SERVICES,
    run: async lab => allOk(Date.now(), await startAtOnce(lab, clients)),
  };
};

const stopThenStart: Draw = random => {
  const clients = random.between(1, 3);
  const atOnce = random.chance(0.5);
  return {
    title: `stop${atOnce ? '' : ', until nothing is left'}, then ${clients === 1 ? 'start' : `${clients} starts at once`}`,
    spared: [],
    run: async lab => {
      await lab.must('stop');
      const problems = await stoppedProblems(lab, atOnce);
      const since = Date.now();
      const { problems: more = [] } = allOk(since, await startAtOnce(lab, clients));
      return { since, problems: [...problems, ...more] };
    },
  };
};

/** After a stop nothing of the services may be there, and the keeper goes soon after. */
async function stoppedProblems(lab: Lab, atOnce: boolean): Promise<string[]> {
  const left = (): string[] => remains(lab).filter(one => !(atOnce && / keep( |$)/.test(one)));
  for (const limit = Date.now() + (atOnce ? 5_000 : 30_000); Date.now() < limit && left().length > 0; await sleep(50));
  return left().map(one => `left after stop: ${one}`);
}

const restartTwice: Draw = random => {
  const id = random.pick(SERVICES);
  const second = random.chance(0.3) ? undefined : id;
  return {
    title: `restart ${id} and restart ${second ?? 'all'} from two clients at once`,
    spared: second ? others(id) : [],
    run: async lab => {
      const since = Date.now();
      const results = await Promise.all([
        lab.cli('restart', id),
        lab.cli('restart', ...(second === undefined ? [] : [second])),
      ]);
      return allOk(since, results);
    },
  };
};

const stopDuringStart: Draw = random => {
  const ms = random.between(0, 2_500);
  return {
    title: `stop, start, stop ${ms} ms into it, start`,
    spared: [],
    run: async lab => {
      await lab.must('stop');
      const started = lab.cli('start', '--detach');
      await sleep(ms);
      await lab.must('stop');
      await started;
      const problems = await stoppedProblems(lab, true);
      const since = Date.now();
      const { problems: more = [] } = allOk(since, await startAtOnce(lab, 1));
      return { since, problems: [...problems, ...more] };
    },
  };
};

const killClient: Draw = random => {
  const command = random.pick(['start', 'stop', 'restart'] as const);
  const ms = random.between(100, 2_000);
  return {
    title: `kill -9 a ${command} ${ms} ms into it, then start`,
    spared: [],
    run: async lab => {
      if (command === 'start') await lab.must('stop');
      const client = lab.client(command, ...(command === 'start' ? ['--detach'] : []));
      const ended = finished(client);
      await sleep(ms);
      client.kill('SIGKILL');
      await ended;
      return allOk(Date.now(), await startAtOnce(lab, 1));
    },
  };
};

const killDuringStart: Draw = random => {
  const ids = random.some(SERVICES, 1);
  const ms = random.between(100, 1_500);
  return {
    title: `stop, start, kill -9 the supervisors of ${ids.join(', ')} ${ms} ms into it`,
    spared: [],
    run: async lab => {
      await lab.must('stop');
      const since = Date.now();
      const started = lab.cli('start', '--detach');
      await sleep(ms);
      await lab.kill(...ids.flatMap(id => lab.supervisors(id)));
      return allOk(since, [await started]);
    },
  };
};

async function startAtOnce(lab: Lab, clients: number): Promise<Finished[]> {
  return Promise.all(Array.from({ length: clients }, () => lab.cli('start', '--detach')));
}

function allOk(since: number, results: readonly Finished[]): Harm {
  const failed = results.filter(one => one.code !== 0);
  return { since, problems: failed.map(one => `a command exited with ${one.code}: ${one.stderr.trim()}`) };
}

// State on disk

const DAMAGES = {
  emptied: (file: string) => writeFileSync(file, ''),
  'cut in half': (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 40)),
  garbage: (file: string) => writeFileSync(file, Buffer.from([0, 255, 1, 254, 10, 123])),
  'something else': (file: string) => writeFileSync(file, '{"version":1,"port":"8000","child":{"pid":1}}\n'),
  removed: (file: string) => rmSync(file),
  'a folder': (file: string) => {
    // Whoever writes it may make it anew between the two.
    for (let made = false; !made;) {
      rmSync(file, { recursive: true, force: true });
      try {
        mkdirSync(join(file, 'inner'), { recursive: true });
        made = true;
      } catch (error) {
        if (!['ENOTDIR', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      }
    }
  },
} as const;

/** It may still be the folder that an earlier round has made of it: it is written again when something changes. */
function damageFile(file: string, damage: keyof typeof DAMAGES): void {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    rmSync(file, { recursive: true });
    writeFileSync(file, '');
  }
  DAMAGES[damage](file);
}

const damageState: Draw = random => {
  const ids = random.some(SERVICES, 1);
  const damage = random.pick(Object.keys(DAMAGES) as (keyof typeof DAMAGES)[]);
  const kill = random.chance(0.6);
  return {
    title: `state of ${ids.join(', ')} ${damage}${kill ? ', their supervisors killed, start' : ''}`,
    spared: kill ? others(...ids) : SERVICES,
    mayMove: ids,
    run: async lab => {
      const supervisors = ids.flatMap(id => lab.supervisors(id));
      for (const id of ids) damageFile(join(lab.dir, `${id}.json`), damage);
      if (!kill) return now();
      await lab.kill(...supervisors);
      return allOk(Date.now(), await startAtOnce(lab, 1));
    },
  };
};

const damageRest: Draw = random => {
  const damage = random.pick(['garbage', 'a folder'] as const);
  return {
    title: `stop tokens and logs ${damage}, then stop and start`,
    spared: [],
    run: async lab => {
      for (const name of readdirSync(lab.dir)) {
        if (name.startsWith('.stopped') || name.endsWith('.log')) {
          rmSync(join(lab.dir, name), { recursive: true, force: true });
          writeFileSync(join(lab.dir, name), '');
          DAMAGES[damage](join(lab.dir, name));
        }
      }
      await lab.must('stop');
      return allOk(Date.now(), await startAtOnce(lab, 1));
    },
  };
};

// .env.local

const FILLER = `#${' filler'.repeat(1_000)}\n`;

/** How the file is made hard to write, and the way back. */
const BLOCKS: Readonly<Record<string, (lab: Lab) => () => void>> = {
  'read-only': lab => {
    chmodSync(lab.envFile, 0o444);
    return () => chmodSync(lab.envFile, 0o644);
  },
  'a folder': lab => {
    const before = readFileSync(lab.envFile);
    rmSync(lab.envFile);
    mkdirSync(lab.envFile);
    return () => {
      rmdirSync(lab.envFile);
      writeFileSync(lab.envFile, before);
    };
  },
};

const blockEnvFile: Draw = random => {
  const name = random.pick(Object.keys(BLOCKS));
  const theft = { ...drawTheft(random), certain: true };
  return {
    title: `.env.local ${name} while the API's port is taken on ${theft.address}, then as before`,
    exits: ['api'],
    spared: others('api'),
    mayMove: ['api'],
    run: async lab => {
      const unblock = BLOCKS[name]!(lab);
      const thief = await steal(lab, theft);
      const problems = await untilWell(lab, { withoutEnvFile: true });
      unblock();
      return { since: Date.now(), problems, undo: () => closed(thief) };
    },
  };
};

const largeEnvFile: Draw = random => {
  const theft = { ...drawTheft(random), certain: true };
  return {
    title: `.env.local of 10 MB while the API's port is taken on ${theft.address}`,
    exits: ['api'],
    spared: others('api'),
    mayMove: ['api'],
    run: async lab => {
      appendFileSync(lab.envFile, FILLER.repeat(1_500));
      const thief = await steal(lab, theft);
      const since = Date.now();
      const undo = (): Promise<void> => {
        writeFileSync(lab.envFile, readFileSync(lab.envFile, 'utf8').replaceAll(FILLER, ''));
        return closed(thief);
      };
      return { since, undo };
    },
  };
};

async function untilWell(lab: Lab, looks: Looks): Promise<string[]> {
  for (const limit = Date.now() + 60_000; ; await sleep(50)) {
    const left = await violations(lab, looks);
    if (left.length === 0 || Date.now() > limit) return left;
  }
}

const loseEnvFile: Draw = () => ({
  title: '.env.local replaced by an old copy without the block',
  spared: SERVICES,
  run: lab => {
    rmSync(lab.envFile);
    writeFileSync(lab.envFile, USER_LINES);
    return Promise.resolve(now());
  },
});

const editEnvFile: Draw = () => ({
  title: '.env.local: a line added by hand, then kill -9 the API',
  exits: ['api'],
  spared: others('api'),
  run: async lab => {
    appendFileSync(lab.envFile, `LATER=${Date.now()}\n`);
    await lab.kill(lab.leader('api'));
    return now();
  },
});

const EVENTS: readonly (readonly [weight: number, draw: Draw])[] = [
  [5, killService],
  [2, killPostmaster],
  [5, killSupervisor],
  [3, killKeeper],
  [6, killSeveral],
  [2, killAll],
  [2, hangApi],
  [1, pauseSupervisor],
  [4, stealPort],
  [2, startTwice],
  [3, stopThenStart],
  [3, restartTwice],
  [2, stopDuringStart],
  [3, killClient],
  [3, killDuringStart],
  [4, damageState],
  [1, damageRest],
  [2, blockEnvFile],
  [1, largeEnvFile],
  [1, loseEnvFile],
  [1, editEnvFile],
];

/** Killed as often as its services are; what runs in its terminals must not notice. */
const killExtensionHost = (window: Window): Draw => {
  return () => ({
    title: 'kill -9 the extension host',
    spared: SERVICES,
    run: async () => {
      await window.killHost();
      return now();
    },
  });
};

/** With a window its extension host is among the victims. */
export function drawEvent(random: Random, window?: Window): Event {
  const events = window ? ([...EVENTS, [5, killExtensionHost(window)]] as const) : EVENTS;
  let left = random.next() * events.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, draw] of events) {
    left -= weight;
    if (left < 0) return draw(random);
  }
  return killService(random);
}
