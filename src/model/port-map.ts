import { BANDS, FIXED_PORTS, POSTGRES_PORT, PROXY_PORT } from './defaults.ts';
import type { Plan } from './plan.ts';
import { inBand } from './port.ts';

/**
 * Who has a port. `ours`: a service of this workspace leases it. `helix`: a HELIX of another workspace does.
 * `foreign`: somebody else listens on it or is bound to it. `reserved`: never handed out of a band.
 */
export type PortUse = 'free' | 'ours' | 'helix' | 'foreign' | 'reserved';

export interface PortCell {
  readonly port: number;
  readonly use: PortUse;
  /** Whose it is, in words. */
  readonly who: string;
}

/** A run of ports, to be shown as a grid. Plain data: it travels to pages. */
export interface BandMap {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Every port that is not free, in order. */
  readonly used: readonly PortCell[];
}

export type BandRange = Omit<BandMap, 'used'>;

/** What anybody would look at as a grid; of a band that is wider the beginning is shown. */
const MAX_SHOWN = 1_000;

const NAMES: Readonly<Record<keyof typeof BANDS, string>> = {
  api: 'API',
  orchestrator: 'Orchestrator',
  worker: 'Worker',
  proxy: 'Proxy',
};

/** The bands of HELIX, then those that the plan adds, then fixed ports that lie in none of them. */
export function bandsOf({ services }: Pick<Plan, 'services'>): readonly BandRange[] {
  const bands: BandRange[] = Object.entries(BANDS).map(([id, { from, to }]) => ({
    name: NAMES[id as keyof typeof BANDS],
    from,
    to,
  }));
  const isShown = (port: number): boolean => bands.some(band => port >= band.from && port <= band.to);
  for (const { label, port } of services) {
    if (port.kind !== 'band' || (isShown(port.band.from) && isShown(port.band.to))) continue;
    const { from, to } = port.band;
    bands.push({ name: label, from, to: Math.min(to, from + MAX_SHOWN - 1) });
  }
  const fixed: [number, string][] = services.flatMap(({ label, port }) =>
    port.kind === 'fixed' ? [[port.port, label]] : [],
  );
  for (const [port, label] of fixed) if (!isShown(port)) bands.push({ name: label, from: port, to: port });
  return bands;
}

/** Why no band hands a port out, by port. */
export function reservedPorts({ services }: Pick<Plan, 'services'>): ReadonlyMap<number, string> {
  const reserved = new Map<number, string>(FIXED_PORTS.map(port => [port, FIXED_NAMES.get(port) ?? 'a fixed port']));
  for (const { label, port } of services) {
    if (port.kind === 'fixed') reserved.set(port.port, `fixed port of ${label}`);
    if (port.kind === 'band') {
      for (const other of port.except ?? []) {
        if (inBand(port.band, other) && !reserved.has(other)) reserved.set(other, 'a fixed port of this workspace');
      }
    }
  }
  return reserved;
}

const FIXED_NAMES: ReadonlyMap<number, string> = new Map([
  [POSTGRES_PORT, 'kept for PostgreSQL'],
  [PROXY_PORT, 'kept for the proxy'],
]);
