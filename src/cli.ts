#!/usr/bin/env node
/** The program: connects `main` to this process. Nothing else touches its arguments, its streams or its exit. */
import { oldNodeComplaint } from './system/node-version.ts';
import { hvipiCommand } from './system/own-command.ts';

const complaint = oldNodeComplaint(process.versions.node, hvipiCommand());
if (complaint !== null) {
  process.stderr.write(`hvipi: ${complaint}\n`);
  process.exit(3);
}
// Only now: much of what this imports does not even load in an older Node.
const { main } = await import('./commands/main.ts');

const stop = new AbortController();
/** npm and tsx pass on a Ctrl-C that the terminal has sent to this process as well; that is no second one. */
const sameKeyMs = 500;
let askedAt = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Whoever asks twice does not want to wait for an orderly end.
    if (stop.signal.aborted && performance.now() - askedAt > sameKeyMs) process.exit(130);
    if (!stop.signal.aborted) askedAt = performance.now();
    stop.abort();
  });
}
// A reader that went away, as `head` does, is no reason to fail.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

const exitCode = await main(process.argv.slice(2), {
  stdout: { write: (text) => void process.stdout.write(text) },
  stderr: { isTTY: process.stderr.isTTY, write: (text) => void process.stderr.write(text) },
  signal: stop.signal,
  isDebugging: process.env['HVIPI_DEBUG'] === '1',
});
// What is still open (a lab that does not die, a timer) must not keep the process, but the output must get out.
process.stdout.write('', () => process.exit(exitCode));
