/** Our side of the window (`src/hand/window.ts`): a file that we read and write while the emulator has it mapped. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import type { WireListener } from '../emulator.ts';
import {
  answeredRing,
  ringBytes,
  sentRing,
  windowMark,
  windowRequests,
  windowWords,
  windowWordsBytes,
} from '../../../hand/window.ts';

const pollMs = 1;
const consoleBytes = 4096;

export class WindowWire {
  readonly #file: number;
  readonly #console: number;
  readonly #listener: WireListener;
  readonly #text = Buffer.alloc(consoleBytes);
  readonly #words = Buffer.alloc(windowWordsBytes);
  #waiting: Buffer[] = [];
  #sent = 0;
  #heard = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param consolePath a file to which the console's output is appended. */
  constructor(path: string, consolePath: string, listener: WireListener) {
    this.#file = openSync(path, 'r+');
    this.#console = openSync(consolePath, 'r');
    this.#listener = listener;
  }

  send(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.look();
  }

  /** Looks for answers as long as any is expected. */
  expect(isExpected: boolean): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = isExpected ? setInterval(() => this.look(), pollMs) : null;
  }

  /** Asks the emulator itself; it looks once a millisecond of its own time. */
  ask(request: keyof typeof windowRequests): void {
    this.#setWord('request', windowRequests[request]);
  }

  close(): void {
    this.expect(false);
    for (const file of [this.#file, this.#console]) closeSync(file);
  }

  /** Hears what there is, and sends what waits. */
  look(): void {
    this.#read();
    readSync(this.#file, this.#words, 0, windowWordsBytes, 0);
    if (this.#word('mark') !== windowMark) return;
    this.#hear();
    this.#tell();
  }

  #read(): void {
    for (let count = consoleBytes; count === consoleBytes;) {
      // From where the last one ended.
      count = readSync(this.#console, this.#text, 0, consoleBytes, null);
      if (count > 0) this.#listener.printed(this.#text.toString('latin1', 0, count));
    }
  }

  #hear(): void {
    const count = distance(this.#word('answered'), this.#heard);
    if (count === 0) return;
    const bytes = Buffer.allocUnsafe(count);
    const place = this.#heard % ringBytes;
    const first = Math.min(count, ringBytes - place);
    readSync(this.#file, bytes, 0, first, answeredRing + place);
    if (first < count) readSync(this.#file, bytes, first, count - first, answeredRing);
    this.#heard = (this.#heard + count) >>> 0;
    this.#setWord('heard', this.#heard);
    this.#listener.received(bytes);
  }

  #tell(): void {
    let room = ringBytes - distance(this.#sent, this.#word('taken'));
    const before = this.#sent;
    while (this.#waiting.length > 0 && room > 0) {
      const bytes = this.#waiting[0]!;
      const place = this.#sent % ringBytes;
      const count = Math.min(bytes.length, room, ringBytes - place);
      writeSync(this.#file, bytes, 0, count, sentRing + place);
      this.#sent = (this.#sent + count) >>> 0;
      room -= count;
      if (count === bytes.length) this.#waiting.shift();
      else this.#waiting[0] = bytes.subarray(count);
    }
    if (this.#sent !== before) this.#setWord('sent', this.#sent);
  }

  #word(name: keyof typeof windowWords): number {
    return this.#words.readUInt32LE(windowWords[name]);
  }

  #setWord(name: keyof typeof windowWords, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value, 0);
    writeSync(this.#file, bytes, 0, 4, windowWords[name]);
  }
}

function distance(from: number, to: number): number {
  return (from - to) >>> 0;
}
