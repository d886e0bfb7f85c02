/**
 * A hand on another machine, which speaks over ssh's standard input and output. The machine needs a shell and /dev/kvm, and
 * nothing of ours: the hand is a static program that is copied there and removed afterwards.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { InfrastructureError } from '../errors.ts';
import type { BuiltHand } from '../hand/build.ts';
import { Channel, type ChannelMachine } from '../lab/channel.ts';
import { ConsoleWatch } from '../lab/console/console-watch.ts';
import { shellQuoted } from '../system/own-command.ts';

/** No questions: who runs this may not be there. A connection that is gone shows before silence counts as a hang. */
const sshOptions = [
  '-T',
  '-o',
  'BatchMode=yes',
  '-o',
  'ConnectTimeout=10',
  '-o',
  'ServerAliveInterval=5',
  '-o',
  'ServerAliveCountMax=2',
];
/** ssh's own failure, as opposed to that of what it runs. */
const sshFailure = 255;
const helloMs = 20_000;
/** Prints the folder into which it puts its input as `hand`. */
const putHand =
  'umask 077; d=$(mktemp -d "${TMPDIR:-/tmp}/hvipi-XXXXXX") && cat > "$d/hand" && chmod 700 "$d/hand" && echo "$d"';

export class SshConnection implements AsyncDisposable {
  readonly channel: Channel;
  readonly #process: ChildProcess;

  /**
   * Copies the hand there and starts it.
   *
   * @throws InfrastructureError in one line when ssh or the hand does not start.
   */
  static async open(destination: string, hand: BuiltHand, silenceMs: number): Promise<SshConnection> {
    const put = await execa('ssh', [...sshOptions, '--', destination, putHand], {
      input: await readFile(hand.path),
      reject: false,
    });
    if (put.failed) throw new InfrastructureError(`ssh ${destination}: ${lastLine(put.stderr) || put.shortMessage}`);
    const connection = new SshConnection(destination, put.stdout.trim(), silenceMs);
    const timer = setTimeout(() => connection.#fail(destination, 'the hand does not answer'), helloMs);
    try {
      const version = await connection.channel.hello;
      if (version !== hand.version) {
        throw new InfrastructureError(`ssh ${destination}: its hand is version ${version}, this is ${hand.version}`);
      }
      return connection;
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(destination: string, folder: string, silenceMs: number) {
    this.channel = new Channel(silenceMs);
    const console = new ConsoleWatch(this.channel);
    const quoted = shellQuoted(folder);
    // The shell outlives the hand, so that the folder goes however that ends.
    const command = `trap "rm -rf ${quoted}" EXIT HUP TERM; ${quoted}/hand --kernel-log`;
    this.#process = spawn('ssh', [...sshOptions, '--', destination, command], { stdio: ['pipe', 'pipe', 'pipe'] });
    let complaint = '';
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-4000);
    });
    this.#process.stdin!.on('error', () => undefined);
    this.#process.stdout!.on('data', (bytes: Buffer) => this.channel.received(bytes));
    const machine: ChannelMachine = {
      title: destination,
      console,
      expect: () => undefined,
      send: (bytes) => void this.#process.stdin!.write(bytes),
      // Nobody here can send one.
      sendNmi: () => undefined,
      starvedMs: () => 0,
    };
    this.channel.attach(machine);
    this.#process.once('error', (error) => this.#fail(destination, error.message));
    this.#process.once('close', (code) => {
      console.finish();
      const what = code === sshFailure ? 'the connection is gone' : `the hand ended with ${code ?? 'a signal'}`;
      this.#fail(destination, `${what}${complaint === '' ? '' : `: ${lastLine(complaint)}`}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel.close(new InfrastructureError('the connection was closed'));
    // The hand ends with its input, and the shell removes its folder.
    this.#process.stdin!.end();
    const timer = setTimeout(() => this.#process.kill(), 2000);
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      await new Promise((resolve) => this.#process.once('close', resolve));
    }
    clearTimeout(timer);
  }

  #fail(destination: string, why: string): void {
    this.channel.close(new InfrastructureError(`ssh ${destination}: ${why}`));
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)!.trim();
}
