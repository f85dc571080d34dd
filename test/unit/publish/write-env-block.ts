import { writeEnvBlock } from '../../../src/publish/env-file.ts';

/** A program of its own for `env-file.test.ts`, to run with limits: `FILE` and the value of A. Says how it went. */
const [file, value] = process.argv.slice(2);
writeEnvBlock(file!, new Map([['A', value!]])).then(
  result => console.log(JSON.stringify(result)),
  (error: unknown) => console.log(String(error)),
);
