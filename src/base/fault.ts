/**
 * Places in the course of a start where a crash would be worst: between two steps that belong together. Each has a
 * test that kills the process right there and looks whether a plain start afterwards makes everything whole.
 */
export const FAULT_POINTS = [
  'supervisor.claimed',
  'supervisor.leased',
  'supervisor.spawned',
  'supervisor.recorded',
  'supervisor.healthy',
  'client.launched',
  'client.specSent',
  'client.published',
  /** The new file lies beside the old one, which it has not replaced yet. */
  'record.halfWritten',
  'envFile.halfWritten',
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];

/** Names the point at which a process is to end itself; a supervisor keeps it from its service. */
export const FAULT_VARIABLE = 'HELIX_PORTS_FAULT';

/** Read once: apart from the tests there is none, and then a point costs one comparison. */
const armed = process.env[FAULT_VARIABLE];

/** Ends this process as `kill -9` would, if the environment asks for that at this very point. */
export function faultPoint(name: FaultPoint): void {
  if (name === armed) process.kill(process.pid, 'SIGKILL');
}
