import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import {
  parseBsdNetstat,
  parseLsof,
  parsePsCommands,
  parseWindowsNetstat,
  parseWindowsProcesses,
} from '../../../src/ports/tool-output.ts';

// In the form in which the tools print it: padding, line ends and translations are theirs, names and numbers made up.

/** `lsof -nP -iTCP -sTCP:LISTEN -FpcLn` of macOS 14, which names each file although it was not asked to. */
const LSOF_TCP = `p512
cControlCenter
Lalice
f8
n*:7000
f9
n*:7000
p1831
cCode\\x20Helper\\x20(Plugin)
Lalice
f31
n127.0.0.1:53211
p4711
cnode
Lalice
f23
n*:8023
f24
n[::1]:8024
f25
n[fe80:1::1]:8025
`;

/** `lsof -nP -iUDP -FpcLn` of macOS 14. */
const LSOF_UDP = `p388
crapportd
Lalice
f5
n*:*
f9
n*:3722
p4711
cnode
Lalice
f26
n127.0.0.1:8023
f27
n10.0.0.5:51001->10.0.0.1:53
`;

/** `netstat -an -p tcp` of macOS 14: lines are padded, and long addresses cut short. */
const NETSTAT_MACOS = [
  'Active Internet connections (including servers)',
  'Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)    ',
  'tcp4       0      0  10.0.0.5.52123         17.57.144.86.5223      ESTABLISHED',
  'tcp4       0      0  127.0.0.1.8023         127.0.0.1.52200        TIME_WAIT  ',
  'tcp46      0      0  *.8080                 *.*                    LISTEN     ',
  'tcp6       0      0  ::1.631                *.*                    LISTEN     ',
  'tcp4       0      0  127.0.0.1.631          *.*                    LISTEN     ',
  'tcp6       0      0  fe80::aede:48ff:.49152 *.*                    LISTEN     ',
  'tcp6       0      0  *.5000                 *.*                    LISTEN     ',
  'tcp4       0      0  127.0.0.1.9000         *.*                    CLOSED     ',
  '',
].join('\n');

const NETSTAT_MACOS_UDP = [
  'Active Internet connections (including servers)',
  'Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)    ',
  'udp4       0      0  *.*                    *.*                               ',
  'udp46      0      0  *.5353                 *.*                               ',
  'udp4       0      0  127.0.0.1.8023         *.*                               ',
  'udp6       0      0  fe80::1%lo0.123        *.*                               ',
  '',
].join('\n');

/** `netstat -an -p tcp` of FreeBSD 14. */
const NETSTAT_FREEBSD = `Active Internet connections (including servers)
Proto Recv-Q Send-Q Local Address          Foreign Address        (state)
tcp4       0      0 192.168.1.10.22        192.168.1.20.53044     ESTABLISHED
tcp4       0      0 *.22                   *.*                    LISTEN
tcp6       0      0 *.22                   *.*                    LISTEN
`;

/** `netstat -ano` of Windows 11 in English. */
const NETSTAT_WINDOWS = [
  '',
  'Active Connections',
  '',
  '  Proto  Local Address          Foreign Address        State           PID',
  '  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1220',
  '  TCP    0.0.0.0:445            0.0.0.0:0              LISTENING       4',
  '  TCP    127.0.0.1:8023         0.0.0.0:0              LISTENING       17716',
  '  TCP    127.0.0.1:8023         127.0.0.1:54721        ESTABLISHED     17716',
  '  TCP    127.0.0.1:54702        127.0.0.1:8023         TIME_WAIT       0',
  '  TCP    192.168.1.7:139        0.0.0.0:0              LISTENING       4',
  '  TCP    [::]:135               [::]:0                 LISTENING       1220',
  '  TCP    [::1]:8024             [::]:0                 LISTENING       17716',
  '  TCP    [fe80::1c2d:3e4f%12]:8025  [::]:0             LISTENING       17716',
  '  TCP    [::1]:54790            [::1]:8024             CLOSE_WAIT      9100',
  '  UDP    0.0.0.0:5353           *:*                                    2840',
  '  UDP    127.0.0.1:8023         *:*                                    17716',
  '  UDP    [::]:5353              *:*                                    2840',
  '',
].join('\r\n');

/** The same in other languages, of which the last comes in another code page than is read. */
const TRANSLATED = [
  ['Aktive Verbindungen', '  Proto  Lokale Adresse         Remoteadresse          Status           PID', 'ABHÖREN'],
  ['Conexiones activas', '  Proto  Dirección local          Dirección remota        Estado           PID', 'LISTENING'],
  ['Connexions actives', '  Proto  Adresse locale         Adresse distante       État', 'LISTENING'],
  ['活动连接', '  协议  本地地址          外部地址        状态           PID', 'LISTENING'],
  [
    'Aktive Verbindungen',
    '  Proto  Lokale Adresse         Remoteadresse          Status           PID',
    'ABH\ufffdREN',
  ],
];

describe('what the tools of other systems print', () => {
  const ports = (rows: readonly { port: number; address: string; pid?: number }[]): unknown[] =>
    rows.map(({ port, address, pid }) => [address, port, ...(pid === undefined ? [] : [pid])]);

  it('lsof: each socket with its process and user', () => {
    const node = { pid: 4711, command: 'node', user: 'alice' };
    assert.deepEqual(ports(parseLsof(LSOF_TCP)), [
      ['*', 7000, 512],
      ['*', 7000, 512],
      ['127.0.0.1', 53_211, 1831],
      ['*', 8023, 4711],
      ['::1', 8024, 4711],
      ['fe80:1::1', 8025, 4711],
    ]);
    assert.deepEqual(parseLsof(LSOF_TCP).at(-1), { ...node, address: 'fe80:1::1', port: 8025 });
    assert.deepEqual(ports(parseLsof(LSOF_UDP)), [
      ['*', 3722, 388],
      ['127.0.0.1', 8023, 4711],
      ['10.0.0.5', 51_001, 4711],
    ]);
    assert.deepEqual(parseLsof(''), []);
  });

  it('netstat of macOS and FreeBSD: listeners of all users, without the process', () => {
    assert.deepEqual(ports(parseBsdNetstat(NETSTAT_MACOS, 'tcp')), [
      ['*', 8080],
      ['::1', 631],
      ['127.0.0.1', 631],
      ['fe80::aede:48ff:', 49_152],
      ['*', 5000],
    ]);
    assert.deepEqual(ports(parseBsdNetstat(NETSTAT_MACOS_UDP, 'udp')), [
      ['*', 5353],
      ['127.0.0.1', 8023],
      ['fe80::1%lo0', 123],
    ]);
    assert.deepEqual(ports(parseBsdNetstat(NETSTAT_FREEBSD, 'tcp')), [
      ['*', 22],
      ['*', 22],
    ]);
  });

  it('ps: command and start, a process without a command among them', () => {
    const output = [
      '  512 Thu Nov  5 08:00:01 2026     /System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter',
      '  900 Thu Nov 26 10:00:00 2026     ',
      ' 4711 Thu Nov 26 10:02:03 2026     node server.js --name "a  b"',
      '',
    ].join('\n');
    assert.deepEqual(Object.fromEntries(parsePsCommands(output)), {
      512: {
        command: '/System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter',
        startedAtMs: Date.UTC(2026, 10, 5, 8, 0, 1),
      },
      900: { command: '', startedAtMs: Date.UTC(2026, 10, 26, 10) },
      4711: { command: 'node server.js --name "a  b"', startedAtMs: Date.UTC(2026, 10, 26, 10, 2, 3) },
    });
  });

  it('netstat of Windows: listeners with their process, and no connection for one', () => {
    assert.deepEqual(ports(parseWindowsNetstat(NETSTAT_WINDOWS, 'tcp')), [
      ['0.0.0.0', 135, 1220],
      ['0.0.0.0', 445, 4],
      ['127.0.0.1', 8023, 17_716],
      ['192.168.1.7', 139, 4],
      ['::', 135, 1220],
      ['::1', 8024, 17_716],
      ['fe80::1c2d:3e4f%12', 8025, 17_716],
    ]);
    assert.deepEqual(ports(parseWindowsNetstat(NETSTAT_WINDOWS, 'udp')), [
      ['0.0.0.0', 5353, 2840],
      ['127.0.0.1', 8023, 17_716],
      ['::', 5353, 2840],
    ]);
  });

  for (const [title, heads, word] of TRANSLATED) {
    it(`netstat of Windows: under "${title}", with ${JSON.stringify(word)}`, () => {
      const output = [
        ...['', title, '', heads],
        `  TCP    0.0.0.0:8023           0.0.0.0:0              ${word}          812`,
        '  TCP    127.0.0.1:51000        127.0.0.1:8023         HERGESTELLT      77',
        '',
      ].join('\r\n');
      assert.deepEqual(parseWindowsNetstat(output, 'tcp'), [{ pid: 812, port: 8023, address: '0.0.0.0' }]);
    });
  }

  it('PowerShell: user, start and command line, of others no more than the name', () => {
    const output = [
      '17716\t1795687200123\tJürgen\t"C:\\Program Files\\nodejs\\node.exe" server.js --port 8023',
      '4\t1795600000000\t\tSystem',
      '9100\t1795687300000\talice\tpython -c "import time\ttime.sleep(9)"',
      '',
    ].join('\r\n');
    assert.deepEqual(Object.fromEntries(parseWindowsProcesses(output)), {
      17716: {
        command: '"C:\\Program Files\\nodejs\\node.exe" server.js --port 8023',
        startedAtMs: 1_795_687_200_123,
        user: 'Jürgen',
      },
      4: { command: 'System', startedAtMs: 1_795_600_000_000 },
      9100: { command: 'python -c "import time time.sleep(9)"', startedAtMs: 1_795_687_300_000, user: 'alice' },
    });
  });

  it('anything else does no harm', () => {
    const recorded = [LSOF_TCP, NETSTAT_MACOS, NETSTAT_WINDOWS].flatMap(text => text.split(/\r?\n/));
    const line = fc.oneof(fc.constantFrom(...recorded), fc.string({ unit: 'binary', maxLength: 60 }));
    const output = fc.array(line).map(lines => lines.join('\n'));
    fc.assert(
      fc.property(output, fc.constantFrom('tcp', 'udp'), (text, protocol) => {
        parsePsCommands(text);
        parseWindowsProcesses(text);
        const rows = [parseLsof(text), parseBsdNetstat(text, protocol), parseWindowsNetstat(text, protocol)].flat();
        assert(rows.every(({ port, pid = 0 }) => Number.isInteger(port) && Number.isInteger(pid)));
      }),
      { numRuns: 500 },
    );
  });
});
