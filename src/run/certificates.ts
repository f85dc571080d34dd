/**
 * Node up to 22 reads the certificates that NODE_EXTRA_CA_CERTS names at each start, about 150 of them in what a
 * system brings, before it knows whether anybody wants TLS: that doubles the start of a process. Ours speak none, so
 * they are started without, and hand the name on to the services. (Node 24 reads them when they are needed.)
 */
const NAME = 'NODE_EXTRA_CA_CERTS';
const KEPT_AS = 'HELIX_PORTS_EXTRA_CA_CERTS';

/** Nothing is read for an empty name. */
export const NO_EXTRA_CERTIFICATES: Readonly<Record<string, string>> = { [NAME]: '' };

/** For a Node of ours that hands its environment on. */
export function withoutCertificates<T extends NodeJS.ProcessEnv>(env: T): T {
  const certificates = env[NAME];
  return certificates ? { ...env, [NAME]: '', [KEPT_AS]: certificates } : env;
}

/** What such a process hands on: as it was. */
export function withCertificates(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [KEPT_AS]: certificates, ...rest } = env;
  return certificates === undefined ? rest : { ...rest, [NAME]: certificates };
}
