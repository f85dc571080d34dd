import type { ServiceSnapshot, StackSnapshot } from './service.ts';

/** A host's name or an address, as it is listened on and called by. */
export const isHost = (text: string): boolean => /^[A-Za-z0-9:._-]{1,253}$/.test(text);

/** Reached from other machines, too. A name may mean any address; `localhost` alone is known. */
const isExposed = (host: string): boolean =>
  host !== 'localhost' && host !== '::1' && !/^127(\.\d+){3}$/.test(host) && host !== '';

/** To be said at each start of a service that others can reach; undefined for one that they cannot. */
export const exposureNote = ({ label, host }: Pick<ServiceSnapshot, 'label' | 'host'>): string | undefined =>
  isExposed(host)
    ? `${label} listens on ${host}, as API_HOST asks: whoever reaches this machine can call it. ` +
      'Leave API_HOST empty, or set it to 127.0.0.1, to keep it to this machine.'
    : undefined;

/** Of the services of a stack that run by our hand. */
export const exposureNotes = ({ services }: StackSnapshot): readonly string[] =>
  services
    .filter(service => service.url !== undefined && !service.external)
    .flatMap(service => exposureNote(service) ?? []);
