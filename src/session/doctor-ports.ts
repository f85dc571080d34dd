import { BANDS, FIXED_PORTS } from '../model/defaults.ts';
import type { Finding } from '../model/finding.ts';
import type { Plan } from '../model/plan.ts';
import { type Band, formatBand } from '../model/port.ts';
import { describeUse } from '../ports/allocate.ts';
import type { DoctorContext } from './doctor.ts';
import { whoHas } from './who.ts';

/** From here on a start may find none: several services are started at once. */
const NEARLY_FULL = 0.9;
const SHOWN_HOLDERS = 3;

/** How full each band is, HELIX's own and the plan's, and who has what. */
export async function checkBands(plan: Plan | undefined): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  // One after another: asking the leases of a band takes a socket for each of its ports.
  for (const [name, band] of bandsOf(plan)) findings.push(await checkBand(name, band));
  return findings;
}

function bandsOf(plan: Plan | undefined): ReadonlyMap<string, Band> {
  const bands = new Map<string, Band>(Object.entries(BANDS));
  for (const { id, port } of plan?.services ?? []) {
    if (port.kind !== 'band') continue;
    const isKnown = [...bands.values()].some(one => formatBand(one) === formatBand(port.band));
    if (!isKnown) bands.set(id, port.band);
  }
  return bands;
}

async function checkBand(name: string, band: Band): Promise<Finding> {
  const ports = Array.from({ length: band.to - band.from + 1 }, (_, index) => band.from + index).filter(
    port => !FIXED_PORTS.includes(port),
  );
  const uses = await describeUse(ports);
  const used = uses.size;
  const holders = [...uses].slice(0, SHOWN_HOLDERS).map(([port, who]) => `${port}: ${who}`);
  const more = used > holders.length ? ` and ${used - holders.length} more` : '';
  const who = holders.length > 0 ? ` (${holders.join('; ')}${more})` : '';
  const message = `Ports of ${name}, ${formatBand(band)}: ${used} of ${ports.length} in use${who}.`;
  const advice = `Stop some of them, or widen the band: "port": { "from": ${band.from}, "to": ${Math.min(65_535, band.to + 100)} } of ${name} in helix.config.json.`;
  const id = `band.${name}`;
  if (used >= ports.length) return { id, severity: 'error', message, advice };
  if (used >= ports.length * NEARLY_FULL) return { id, severity: 'warning', message, advice };
  return { id, severity: 'ok', message, advice: '' };
}

/** Whether the stable address in front of the API can be had. */
export async function checkProxyPort({ plan }: DoctorContext): Promise<readonly Finding[]> {
  const { enabled, port, strict } = plan.proxy;
  if (!enabled) return [];
  const use = await whoHas(port);
  const id = 'proxy-port';
  if (use.state === 'free') return [{ id, severity: 'ok', message: `Port ${port} is free for the proxy.`, advice: '' }];
  if (use.helix?.workspace === plan.workspace) {
    return [{ id, severity: 'ok', message: `Port ${port} is this workspace’s own proxy.`, advice: '' }];
  }
  const who = (await describeUse([port])).get(port) ?? 'a process that cannot be seen';
  const advice = `Stop it (helix-ports who ${port} --stop), or set "proxy": { "port": … } in helix.config.json.`;
  const consequence = strict ? 'the proxy cannot start' : `the proxy takes one of ${formatBand(BANDS.proxy)}`;
  const message = `The proxy’s port ${port} is taken by ${who}; ${consequence}.`;
  return [{ id, severity: strict ? 'error' : 'warning', message, advice }];
}
