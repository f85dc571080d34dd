import { strict as assert } from 'node:assert';
import { configJsonSchema, parseConfig } from '../../../src/model/config.ts';
import { FULL_CONFIG } from './full-config.ts';

/** The problems of a file, each as `line:column what`. */
function problemsOf(source: string): string[] {
  const parsed = parseConfig(source);
  return parsed.ok ? [] : parsed.problems.map(one => `${one.line}:${one.column} ${one.message}`);
}

/** The text that the only problem points at, and what it says. */
function problemAt(source: string): [text: string, message: string] {
  const parsed = parseConfig(source);
  assert(!parsed.ok, 'is refused');
  assert.equal(parsed.problems.length, 1, JSON.stringify(parsed.problems, undefined, 1));
  const [{ offset, length, message }] = parsed.problems;
  return [source.slice(offset, offset + length), message];
}

/** A platform that is not this one. */
const ELSEWHERE = process.platform === 'win32' ? 'linux' : 'win32';

const services = (inner: string): string => `{ "services": { ${inner} } }`;
const api = (inner: string): string => services(`"api": { "command": ["run"], ${inner} }`);

describe('configuration', () => {
  it('is read with comments and trailing commas', () => {
    const parsed = parseConfig(FULL_CONFIG);
    assert(parsed.ok, JSON.stringify(parsed));
    const { config } = parsed;
    assert.deepEqual(Object.keys(config.services), ['postgres', 'api', 'worker']);
    assert.deepEqual(
      { ...config.services['api']?.env },
      {
        API_PORT: '${port}',
        WORKERS: '2',
        DEBUG: 'true',
        DB: '${port:postgres}',
        H: '${env:HOME}',
      },
    );
    assert.equal(config.services['api']?.cwd, 'backend');
    assert.equal(JSON.stringify(config.services['api']?.readiness?.expect), '{"status":["ok",null]}');
    assert.equal(config.publish?.envFile, false);
  });

  describe('points at what is wrong', () => {
    const rows: [name: string, source: string, at: string, message: RegExp][] = [
      ['an unknown key', api('"comand": []'), '"comand"', /services\.api has no "comand"\. Did you mean "command"\?/],
      [
        'an unknown key at the top',
        `{ "sevices": {}, "services": { "a": { "command": ["x"] } } }`,
        '"sevices"',
        /mean "services"/,
      ],
      [
        'an unknown key deep down',
        api('"port": { "from": 1, "to": 2, "too": 3 }'),
        '"too"',
        /port has no "too"\. Did you mean "to"/,
      ],
      ['an unknown key like no other', api('"zzzzzz": 1'), '"zzzzzz"', /has no "zzzzzz"\.$/],
      ['a missing key', api('"port": { "from": 9000 }'), '"port"', /services\.api\.port needs "to"/],
      ['nothing but braces', '{}', '{', /The configuration needs "services"/],
      ['no services', services(''), '{  }', /services is empty/],
      ['something else than an object', '[1]', '[1]', /must be an object, not a list/],
      ['a wrong type', api('"cwd": 3'), '3', /services\.api\.cwd must be a string, not 3/],
      [
        'a command line',
        services('"a": { "command": "node x" }'),
        '"node x"',
        /must be a list or an object, not "node x"/,
      ],
      ['an empty command', services('"a": { "command": [] }'), '[]', /command must not be empty/],
      ['a command for no platform', services('"a": { "command": {} }'), '{}', /needs a command for a platform/],
      [
        'a command for other platforms only',
        services(`"a": { "command": { "${ELSEWHERE}": ["x"] } }`),
        `{ "${ELSEWHERE}": ["x"] }`,
        new RegExp(`a has no command for ${process.platform}\\. Add one, or a "default"`),
      ],
      ['no command', services('"a": {}'), '"a"', /a needs a "command"/],
      ['a NUL', api('"label": "a\\u0000"'), '"a\\u0000"', /NUL/],
      [
        'an environment value',
        api('"env": { "A": null }'),
        'null',
        /must be a string, a number or true or false, not null/,
      ],
      ['an environment name', api('"env": { "A=B": "x" }'), '"A=B"', /not a variable name/],
      ['a service id', services('"Api 1": { "command": ["x"] }'), '"Api 1"', /not a service id/],
      [
        'an unknown band',
        api('"port": "database"'),
        '"database"',
        /must be "api", "orchestrator", "worker", an object/,
      ],
      ['a port out of range', api('"port": 65536'), '65536', /must be at most 65535/],
      ['half a port', api('"port": 80.5'), '80.5', /must be .* a whole number or false, not 80\.5/],
      [
        'a band upside down',
        api('"port": { "from": 9010, "to": 9000 }'),
        '{ "from": 9010, "to": 9000 }',
        /"from" is greater than "to"/,
      ],
      [
        'a port taken twice',
        services('"a": { "command": ["x"], "port": 9000 }, "b": { "command": ["x"], "port": 9000 }'),
        '9000',
        /fixed port of a already/,
      ],
      [
        "PostgreSQL's port taken twice",
        services('"db": { "type": "postgres" }, "b": { "command": ["x"], "port": 5432 }'),
        '5432',
        /fixed port of db/,
      ],
      [
        "the proxy's port taken",
        `{ "services": { "a": { "command": ["x"], "port": 8080 } }, "proxy": { "enabled": true } }`,
        '"proxy"',
        /8080 is the fixed port of a/,
      ],
      ['replicas on one port', api('"port": 9000, "replicas": 2'), '2', /cannot share the fixed port 9000/],
      [
        'replicas of PostgreSQL',
        services('"db": { "type": "postgres", "replicas": 2 }'),
        '2',
        /db is a PostgreSQL, of which there is only one/,
      ],
      [
        'replicas of an id that no number fits behind',
        services(`"${'a'.repeat(30)}": { "command": ["x"], "replicas": 2 }`),
        '2',
        /too long an id for replicas/,
      ],
      ['a host that is none', api('"env": { "API_HOST": "a b" }'), '"a b"', /API_HOST is "a b", not a host's name/],
      [
        'a command for PostgreSQL',
        services('"db": { "type": "postgres", "command": ["x"] }'),
        '"command"',
        /is a PostgreSQL/,
      ],
      ['a band for PostgreSQL', services('"db": { "type": "postgres", "port": "api" }'), '"api"', /port is fixed/],
      [
        'readiness of PostgreSQL',
        services('"db": { "type": "postgres", "readiness": { "tcp": true } }'),
        '"tcp"',
        /only "timeoutSeconds"/,
      ],
      ['two kinds of readiness', api('"readiness": { "http": "/", "log": "up" }'), '"log"', /Only one of http, log/],
      ['a status of nothing', api('"readiness": { "tcp": true, "status": 200 }'), '"status"', /needs an "http" path/],
      ['a URL for a path', api('"readiness": { "http": "http://x/" }'), '"http://x/"', /must begin with "\/"/],
      [
        'a wrong pattern',
        api('"readiness": { "log": "(up" }'),
        '"(up"',
        /Invalid regular expression: .*Unterminated group/,
      ],
      [
        'a port that nobody opens',
        services('"w": { "command": ["x"], "readiness": { "tcp": true } }'),
        '"tcp"',
        /w has no port/,
      ],
      ['delays upside down', api('"restart": { "initialDelayMs": 9, "maxDelayMs": 8 }'), '9', /more than maxDelayMs/],
      [
        'an unknown policy',
        api('"restart": { "policy": "maybe" }'),
        '"maybe"',
        /must be "always", "on-failure" or "never"/,
      ],
      [
        'an unknown dependency',
        services('"api": { "command": ["x"], "dependsOn": ["postgre"] }, "postgres": { "type": "postgres" }'),
        '"postgre"',
        /no service "postgre"\. Did you mean "postgres"/,
      ],
      ['a service that waits for itself', api('"dependsOn": ["api"]'), '"api"', /api → api/],
      ['an unknown variable', api('"env": { "A": "x ${PORT}" }'), '${PORT}', /Unknown variable \$\{PORT\}\. There are/],
      ['a variable without end', api('"env": { "A": "x ${port" }'), '${port', /has no "}"/],
      ['a variable behind an escape', api('"env": { "A": "\\"${PORT}" }'), '"\\"${PORT}"', /Unknown variable/],
      [
        'an unknown service',
        api('"env": { "A": "${url:orchestrater}" }'),
        '${url:orchestrater}',
        /no service "orchestrater"/,
      ],
      [
        'a service without port',
        services('"a": { "command": ["x", "${url:b}"], "dependsOn": ["b"] }, "b": { "command": ["x"] }'),
        '${url:b}',
        /b has no port/,
      ],
      ['no port of its own', services('"a": { "command": ["x", "${port}"] }'), '${port}', /a has no port/],
      ['itself as a peer', api('"env": { "A": "${url:api}" }'), '${url:api}', /is api itself; use \$\{port\}/],
      [
        'a peer that may come later',
        services('"api": { "command": ["x"] }, "b": { "command": ["x", "${url:api}"] }'),
        '${url:api}',
        /add "api" to its "dependsOn"/,
      ],
      [
        'a variable where none is replaced',
        api('"cwd": "${workspaceFolder}/x"'),
        '${workspaceFolder}',
        /not replaced in cwd/,
      ],
      [
        'a published name',
        `{ "services": { "a": { "command": ["x"] } }, "publish": { "names": { "A-B": "x" } } }`,
        '"A-B"',
        /not a variable name/,
      ],
      [
        'a published variable',
        `{ "services": { "a": { "command": ["x"] } }, "publish": { "names": { "A": "\${port}" } } }`,
        '${port}',
        /outside a service/,
      ],
      ...[
        'localhost:5173',
        'http://localhost:5173/',
        'http://localhost:80',
        'http://*.example',
        'ftp://x',
        'http://',
      ].map((origin): [string, string, string, RegExp] => [
        `the origin ${origin}`,
        `{ "services": { "a": { "command": ["x"] } }, "proxy": { "origins": ["http://ok", "${origin}"] } }`,
        `"${origin}"`,
        /is not an origin: http/,
      ]),
      [
        'an origin of nobody',
        `{ "services": { "a": { "command": ["x"] } }, "proxy": { "origins": ["\${url:web}"] } }`,
        '${url:web}',
        /no service "web"/,
      ],
      ...['/etc/*', 'C:/x/*', '../other/*.py', 'src/../../*.py', '!..'].map(
        (glob): [string, string, string, RegExp] => [
          `the glob ${glob}`,
          services(`"a": { "command": ["x"], "watch": ["src/*", "${glob}"] }`),
          `"${glob}"`,
          /is not below this file/,
        ],
      ),
      [
        'a key twice',
        services('"a": { "command": ["x"], "tty": true, "tty": false }'),
        '"tty"',
        /"tty" is there twice/,
      ],
      [
        'a key with a meaning to JavaScript',
        services('"__proto__": {}, "a": { "command": ["x"] }'),
        '"__proto__"',
        /cannot be a name here/,
      ],
      ['an empty file', '  \n', '', /The file is empty/],
      ['a missing comma', '{ "services": { "a": { "command": ["x" "y"] } } }', '"y"', /comma expected/],
      ['a missing end', '{ "services": {', '', /close brace expected/],
    ];
    for (const [name, source, at, message] of rows) {
      it(name, () => {
        const [found, said] = problemAt(source);
        assert.match(said, message);
        assert.equal(found, at);
      });
    }
  });

  it('tells of all problems at once, in their order, by line and column', () => {
    const source = [
      '{',
      '  "services": {',
      '    "api": { "command": ["x"], "ports": 1, "cwd": 7 },',
      '    "a": { "command": ["x", "${url:nobody}"], "dependsOn": ["b"] },',
      '    "b": { "command": ["x"], "dependsOn": ["c"], "tty": "no" },',
      '    "c": { "command": ["x"], "dependsOn": ["a"] }',
      '  },',
      '  "postgress": {}',
      '}',
    ];
    for (const eol of ['\n', '\r\n', '\r']) {
      assert.deepEqual(problemsOf(source.join(eol)), [
        '3:32 services.api has no "ports". Did you mean "port"?',
        '3:51 services.api.cwd must be a string, not 7.',
        '4:30 There is no service "nobody".',
        '5:57 services.b.tty must be true or false, not "no".',
        '6:44 These services wait for each other: a → b → c → a.',
        '8:3 The configuration has no "postgress". Did you mean "postgres"?',
      ]);
    }
  });

  it('names each cycle once, and calls no diamond one', () => {
    const of = (graph: Record<string, string[]>): string[] =>
      problemsOf(
        JSON.stringify({
          services: Object.fromEntries(
            Object.entries(graph).map(([id, dependsOn]) => [id, { command: ['x'], dependsOn }]),
          ),
        }),
      ).map(text => text.replace(/^.*: /, ''));
    assert.deepEqual(of({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] }), []);
    assert.deepEqual(of({ a: ['b'], b: ['a', 'c'], c: ['d'], d: ['c'] }), ['a → b → a.', 'c → d → c.']);
    const chain = Object.fromEntries(
      Array.from({ length: 3000 }, (_, index) => [`s${index}`, [`s${(index + 1) % 3000}`]]),
    );
    assert.equal(of(chain).length, 1);
  });

  it('gives the editor a schema with words for every key', () => {
    type Schema = {
      type?: string;
      description?: string;
      properties?: Record<string, Schema>;
      additionalProperties?: Schema | false;
    };
    const schema = configJsonSchema() as Schema;
    const service = schema.properties?.['services']?.additionalProperties || {};
    assert.deepEqual(Object.keys(schema.properties ?? {}), ['$schema', 'services', 'publish', 'proxy', 'postgres']);
    const check = (at: string, one: Schema): void => {
      assert.equal(one.additionalProperties, false, `${at} allows nothing unknown`);
      for (const [key, inner] of Object.entries(one.properties ?? {})) {
        assert(inner.description, `${at}.${key} is explained`);
        if (inner.properties) check(`${at}.${key}`, inner);
      }
    };
    check('', schema);
    check('services', service);
  });
});
