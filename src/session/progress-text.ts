import { portText } from '../model/wording.ts';
import type { StartProgress } from './stack.ts';

/** `2 of 4: waiting for api on 8023`: the number of the service that is waited for, of how many. */
export function progressText({ ready, total, waitingFor }: StartProgress): string {
  const port = portText(waitingFor).slice(1);
  const step = `${ready + 1} of ${total}: waiting for ${waitingFor.id}`;
  const { state } = waitingFor;
  if (state.kind === 'backingOff') return `${step} (${state.reason}; trying again)`;
  return port ? `${step} on ${port}` : step;
}
