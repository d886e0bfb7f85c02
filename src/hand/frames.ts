/**
 * Frames between us and a hand that is a program: 32 bits of length, 8 bits of kind, payload. The hand answers requests in
 * order. Both sides come from the same sources, which `hello` shows.
 */
import { upper } from './header.ts';
import { windowDefines } from './window.ts';

export const frameKinds = {
  /** Hand: it is up; the version of its sources. */
  hello: 1,
  /** Request: a script. */
  script: 2,
  /** Hand: what came of it. */
  record: 3,
  /** Hand: the request failed; text. */
  failed: 4,
  /** Hand: /dev/kvm cannot be opened; text. */
  noKvm: 5,
  /** Request: parameters and a 0, then a kernel module. */
  module: 6,
  /** Request: a path. */
  readFile: 7,
  /** Request: a path and a 0, then what goes into that file. */
  writeFile: 8,
  /** Hand: the request was done; what came of it. */
  done: 9,
  /** Request: the words of a command line, a 0 behind each. */
  exec: 10,
  /** Hand: a piece of what the program writes. */
  output: 11,
  /** Hand: a line of the kernel's log (/dev/kmsg). */
  kernelLog: 12,
} as const;
export type FrameKind = keyof typeof frameKinds;

const headerBytes = 5;
/** More than any request needs; a larger length means that the two sides have lost each other. */
const payloadBytesMax = 256 * 1024 * 1024;

/** Name of the lab's virtio-serial port. */
export const channelName = 'hvipi';
/** Where the channel's modules are in the lab; `order` lists them. */
export const labModulesPath = '/hvipi/modules';
/** Begins a line on the lab's console that is meant for us. */
export const noteMark = 'hvipi-lab: ';

/** The text of `frames.h`. */
export function framesHeader(): string {
  const kinds = Object.entries(frameKinds).map(([name, kind]) => `#define FRAME_${upper(name)} ${kind}`);
  return [
    '/* Made from frames.ts. */',
    ...kinds,
    `#define HEAD_BYTES ${headerBytes}`,
    `#define PAYLOAD_MAX ${payloadBytesMax}u`,
    `#define CHANNEL_NAME "${channelName}"`,
    `#define LAB_MODULES "${labModulesPath}"`,
    `#define NOTE_MARK "${noteMark}"`,
    ...windowDefines(),
    '',
  ].join('\n');
}

export interface Frame {
  readonly kind: FrameKind;
  readonly payload: Buffer;
}

const kindOfNumber = new Map(Object.entries(frameKinds).map(([kind, number]) => [number as number, kind as FrameKind]));

export function encodeFrame(kind: FrameKind, payload: Buffer | string): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const frame = Buffer.allocUnsafe(headerBytes + bytes.length);
  frame.writeUInt32LE(bytes.length, 0);
  frame.writeUInt8(frameKinds[kind], 4);
  bytes.copy(frame, headerBytes);
  return frame;
}

/** Turns bytes that arrive in pieces of any size into frames. */
export class FrameDecoder {
  #pieces: Buffer[] = [];
  #length = 0;

  /**
   * Takes the next bytes (kept, so the caller must not reuse them) and returns the frames that they complete.
   *
   * @throws Error when the bytes are no frames.
   */
  push(bytes: Buffer): Frame[] {
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== null; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame | null {
    if (this.#length < headerBytes) return null;
    const head = this.#joined(headerBytes);
    const payloadBytes = head.readUInt32LE(0);
    const kind = kindOfNumber.get(head.readUInt8(4));
    if (kind === undefined || payloadBytes > payloadBytesMax) {
      throw new Error(`not a frame of a hand: ${head.subarray(0, 16).toString('hex')}`);
    }
    const total = headerBytes + payloadBytes;
    if (this.#length < total) return null;
    const all = this.#joined(total);
    this.#pieces.shift();
    if (all.length > total) this.#pieces.unshift(all.subarray(total));
    this.#length -= total;
    return { kind, payload: all.subarray(headerBytes, total) };
  }

  /** The first piece, joined with those after it only when it is shorter than `length`. */
  #joined(length: number): Buffer {
    if (this.#pieces[0]!.length < length) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]!;
  }
}
