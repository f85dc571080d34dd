// As a namespace, and the small one: `import { z } from 'zod'` brings 450 kB and 50 ms into every bundle.
import * as z from 'zod/mini';

/** A key that may be left out, with the words by which the editor explains it. */
export const described = <T extends z.ZodMiniType>(description: string, schema: T): z.ZodMiniOptional<T> =>
  z.optional(schema.check(z.describe(description)));

export const text = z.string().check(z.minLength(1), z.regex(/^[^\0]*$/, 'must not hold a NUL character'));
export const port = z.int().check(z.minimum(1), z.maximum(65_535));
export const path = z.string().check(z.regex(/^\//, 'must begin with "/"'));
export const milliseconds = z.int().check(z.minimum(1));
export const seconds = z.number().check(z.positive(), z.maximum(86_400));

export const variableName = z.string().check(z.regex(/^[^=\0]+$/, 'is not a variable name: it is empty or has a "="'));
export const publishedName = z
  .string()
  .check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not a variable name: letters, digits and _ only'));
export const variableValue = z.pipe(
  z.union([z.string(), z.number(), z.boolean()]),
  z.transform(value => String(value)),
);

/** Below this file, so that no glob makes us read all of a disk. */
const glob = text.check(
  z.refine(
    value => !/^!?[/\\]|^!?[A-Za-z]:|(^!?|[/\\])\.\.([/\\]|$)/.test(value),
    'is not below this file: it begins at a root or has a ".."',
  ),
);
export const globs = z.array(glob).check(z.minLength(1));
