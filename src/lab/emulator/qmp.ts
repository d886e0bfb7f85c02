/** QEMU's control protocol (QMP): one JSON object a line; commands are answered in order, events come in between. */
import type { Socket } from 'node:net';
import { InfrastructureError } from '../../errors.ts';

interface Waiting {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Message {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

export class Qmp {
  readonly #socket: Socket;
  #waiting: Waiting[] = [];
  #partial = '';
  #isClosed = false;

  /** Takes a socket that QEMU has just connected to. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    socket.on('error', () => undefined).on('close', () => this.#close());
    this.execute('qmp_capabilities').catch(() => undefined);
  }

  /**
   * Runs a command.
   *
   * @throws InfrastructureError with QEMU's own words when it refuses, or when it ends before it answers.
   */
  execute(command: string, options: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new InfrastructureError(`QEMU has ended before ${command}`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ command, resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: options })}\n`);
    });
  }

  #take(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop()!;
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      if (message.error === undefined && message.return === undefined) continue;
      const waiting = this.#waiting.shift();
      if (message.error === undefined) waiting?.resolve(message.return);
      else waiting?.reject(new InfrastructureError(`QEMU refuses ${waiting.command}: ${message.error.desc}`));
    }
  }

  #close(): void {
    this.#isClosed = true;
    for (const { command, reject } of this.#waiting) {
      reject(new InfrastructureError(`QEMU ended before it answered ${command}`));
    }
    this.#waiting = [];
  }
}
