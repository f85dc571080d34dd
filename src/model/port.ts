/** A TCP port number, 1 to 65535, checked. */
export type Port = number & { readonly __port: unique symbol };

/** An inclusive range of ports. */
export interface Band {
  readonly from: Port;
  readonly to: Port;
}

export const isPort = (value: unknown): value is Port =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;

export function toPort(value: unknown): Port {
  if (!isPort(value)) throw new RangeError(`Not a port: ${String(value)} (1 to 65535)`);
  return value;
}

export const formatBand = (band: Band): string => `${band.from}-${band.to}`;

export const inBand = (band: Band, port: number): boolean => port >= band.from && port <= band.to;
