import { withClient } from '../../../src/postgres/probe.ts';

/** A program of its own, for a server that only another network has: asks what it is told, and prints the rows. */
const [credentials = '{}', ...statements] = process.argv.slice(2);
withClient(JSON.parse(credentials) as Parameters<typeof withClient>[0], async client => {
  for (const statement of statements) console.log(JSON.stringify((await client.query(statement)).rows));
}).catch((error: unknown) => {
  console.error(String(error));
  process.exitCode = 1;
});
