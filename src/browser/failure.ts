import type { DiscoveryError, FoundApi } from './contract.ts';

export class Failure extends Error implements DiscoveryError {
  override readonly name = 'DiscoveryError';

  constructor(
    readonly kind: DiscoveryError['kind'],
    message: string,
    readonly candidates: readonly FoundApi[] = [],
    readonly unreadable: readonly string[] = [],
  ) {
    super(message);
  }
}
