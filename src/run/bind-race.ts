/** Limits of the guide and the design: at most 50 tries, at most 10 s in all. */
const MAX_TRIES = 50;
const MAX_MS = 10_000;

/** The ports that strangers took between lease and bind, as an immutable value; `isOver` when it is time to give up. */
export class BindRace {
  constructor(
    readonly lostPorts: ReadonlySet<number> = new Set(),
    private readonly tries = 0,
    private readonly since: number | undefined = undefined,
    readonly isOver = false,
  ) {}

  lost(port: number, now: number): BindRace {
    const since = this.since ?? now;
    const tries = this.tries + 1;
    return new BindRace(new Set([...this.lostPorts, port]), tries, since, tries >= MAX_TRIES || now - since >= MAX_MS);
  }

  message(service: string): string {
    const ports = [...this.lostPorts].slice(-5).join(', ');
    return (
      `${service} lost its port to another process ${this.tries} times in a row (last ${ports}). ` +
      'Find out what takes these ports, or give it another band in helix.config.json.'
    );
  }
}
