import { strict as assert } from 'node:assert';
import {
  type EffectiveInput,
  effectiveEnvironment,
  effectiveText,
  sourceText,
} from '../../../src/model/effective-env.ts';
import { parseEnvFile } from '../../../src/model/env-file.ts';
import { toServiceId } from '../../../src/model/service.ts';

interface Given extends Partial<Omit<EffectiveInput, 'envFile' | 'service'>> {
  readonly file?: string;
  readonly host?: string;
}

function effective({
  file = '',
  host = '127.0.0.1',
  ...given
}: Given): Record<string, [value: string, source: string]> {
  const parsed = parseEnvFile(file);
  assert.ok(parsed.ok);
  const variables = effectiveEnvironment({
    service: { id: toServiceId('api'), kind: 'process', host },
    templates: {},
    filled: {},
    process: {},
    envFile: parsed.variables,
    ...given,
  });
  return Object.fromEntries(variables.map(one => [one.name, [one.value, sourceText(one)]]));
}

describe('the effective environment', () => {
  it("is what is allocated, then the process's and .env, then defaults", () => {
    const variables = effective({
      templates: { API_PORT: '${port}', MODE: 'dev', WEB: '${url:web}/x', HANDED: '${env:LOG_LEVEL}' },
      filled: { API_PORT: '8023', MODE: 'dev', WEB: 'http://127.0.0.1:5173/x', HANDED: 'DEBUG' },
      process: { API_PORT: '1', LANG: 'C', LOG_LEVEL: 'DEBUG' },
      file: 'API_PORT=8000\nLANG=x\nLOG_LEVEL=WARN\nHELIX_ENV=production\nHELIX_ENV=staging\n',
    });
    assert.deepEqual(variables['API_PORT'], ['8023', 'allocated']);
    assert.deepEqual(variables['WEB'], ['http://127.0.0.1:5173/x', 'allocated']);
    assert.deepEqual(variables['MODE'], ['dev', 'configuration']);
    assert.deepEqual(variables['HANDED'], ['DEBUG', 'process']);
    assert.deepEqual(variables['LANG'], ['C', 'process']);
    assert.deepEqual(variables['HELIX_ENV'], ['staging', '.env line 5']);
    assert.deepEqual(variables['POSTGRES_HOST'], ['localhost', 'default']);
  });

  it('says who asked for a host and for a fixed port', () => {
    const host = (given: Given): string | undefined =>
      effective({ filled: { API_HOST: given.host ?? '127.0.0.1' }, ...given })['API_HOST']?.[1];
    assert.equal(host({}), 'default');
    assert.equal(host({ file: 'API_HOST=\n' }), 'default');
    assert.equal(host({ file: 'A=1\nAPI_HOST=0.0.0.0\n', host: '0.0.0.0' }), '.env line 2');
    assert.equal(host({ process: { API_HOST: '0.0.0.0' }, host: '0.0.0.0' }), 'process');
    const given = { templates: { POSTGRES_PORT: '${port:postgres}' }, filled: { POSTGRES_PORT: '5499' } };
    assert.deepEqual(effective({ ...given, file: 'POSTGRES_PORT=5499' })['POSTGRES_PORT'], ['5499', '.env line 1']);
  });

  it('shows no secret, by its name, in an address, or where it is repeated', () => {
    const variables = effective({
      file: [
        'GEMINI_API_KEY=AIza-secret',
        'POSTGRES_PASSWORD=hunter2hunter2',
        'jwtSecret=s3cr3t',
        'EMPTY_TOKEN=',
        'DATABASE_URL=postgresql://helix_user:other@localhost/helix?sslmode=off&password=third',
        'COPIED=[hunter2hunter2]',
        'PLAIN=visible',
        'GH_PAT=some-letters',
        'SENTRY_DSN=https://0123@sentry.example/1',
        'REMOTE=https://some-letters@git.example/r',
        'DATABASE=postgresql://helix_user@localhost/helix',
        'STRIPE=sk_live_0123456789abcdef',
        'ARGUMENTS=--with ghp_0123456789abcdef --path risk-free-for-ever',
      ].join('\n'),
      process: { PWD: '/w', DB_PWD: 'nope' },
    });
    assert.deepEqual(
      Object.entries(variables)
        .filter(([, [, source]]) => source !== 'default')
        .map(([name, [value]]) => `${name}=${value}`)
        .sort(),
      [
        'ARGUMENTS=--with ******** --path risk-free-for-ever',
        'COPIED=[********]',
        'DATABASE=postgresql://helix_user@localhost/helix',
        'DATABASE_URL=postgresql://helix_user:********@localhost/helix?sslmode=off&password=********',
        'DB_PWD=********',
        'EMPTY_TOKEN=',
        'GEMINI_API_KEY=********',
        'GH_PAT=********',
        'PLAIN=visible',
        'POSTGRES_PASSWORD=********',
        'PWD=/w',
        'REMOTE=https://********@git.example/r',
        'SENTRY_DSN=********',
        'STRIPE=********',
        'jwtSecret=********',
      ],
    );
  });

  it('is one line a variable, whatever its value', () => {
    const source = { kind: 'process' } as const;
    const text = effectiveText([
      { name: 'A', value: 'two\nlines\u001b[31m', source },
      { name: 'LONG', value: 'x'.repeat(200), source },
    ]);
    assert.deepEqual(
      text.split('\n').map(line => line.replace(/x{10,}/, 'xxx')),
      [`A=two\\nlines\\u001b[31m`.padEnd(60) + '  # process', 'LONG=xxx  # process'],
    );
  });
});
