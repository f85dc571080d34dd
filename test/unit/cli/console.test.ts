import assert from 'node:assert/strict';
import { Console } from '../../../src/cli/console.ts';

function streams(isTTY: boolean): { text: () => string; stream: { write(text: string): boolean } & object } {
  let written = '';
  const stream = { isTTY, columns: 20, write: (text: string) => Boolean((written += text)) };
  return { text: () => written, stream };
}

function consoleOn(isTTY: boolean): { terminal: Console; out: () => string; err: () => string } {
  const [out, err] = [streams(isTTY), streams(isTTY)];
  type Stream = ConstructorParameters<typeof Console>[0];
  return { terminal: new Console(out.stream as Stream, err.stream as Stream), out: out.text, err: err.text };
}

describe('what the command line prints', () => {
  it('tells progress in a pipe line by line, each step once', () => {
    const { terminal, out, err } = consoleOn(false);
    for (const step of ['1 of 2: a', '2 of 2: b', '1 of 2: a', '2 of 2: b']) terminal.progress(step);
    terminal.done();
    assert.equal(err(), '1 of 2: a\n2 of 2: b\n');
    assert.equal(out(), '');
  });

  it('moves one line on a terminal, beneath what is printed, and takes it away at the end', () => {
    const { terminal, out, err } = consoleOn(true);
    terminal.progress('1 of 2');
    terminal.progress('2 of 2');
    terminal.out('api  healthy');
    terminal.done();
    assert.equal(out(), 'api  healthy\n');
    const clear = '\r\x1b[K';
    assert.equal(err(), `${clear}1 of 2${clear}2 of 2${clear}${clear}2 of 2${clear}`);
  });

  it('never lets the moving line break in two', () => {
    const { terminal, err } = consoleOn(true);
    terminal.progress('x'.repeat(100));
    assert.equal(err(), `\r\x1b[K${'x'.repeat(19)}`);
  });
});
