/**
 * Frames on the one channel between the lab's host side and its agent: u32 LE payload length, u8 type, payload.
 * The agent waits for the modules of the KVM under test and loads them. Then the host asks (`run`, `exec`), and the
 * agent answers in order. Both sides come from the same checkout, so there is no version number.
 */
import { Reader, Writer } from '../case/bytes.ts';

export const frameTypes = {
  /** Agent: it has loaded the modules; JSON of TargetFacts. */
  ready: 1,
  /** Host: bytes of `encodeBatch`. */
  run: 2,
  /** Agent: answer to `run`; bytes for `decodeObservations`. */
  observations: 3,
  /** Agent: it, or the last request, failed; text. */
  failed: 4,
  /** Agent: as `failed`, because the kernel lacks something that is named; text. */
  skipped: 5,
  /** Host: run a program; JSON of its argv. */
  exec: 6,
  /** Agent: a piece of what the program wrote (stdout and stderr). */
  output: 7,
  /** Agent: answer to `exec`; JSON of ExecEnd. */
  ended: 8,
  /** Agent: it is up and waits for `modules`; nothing. Here a lab's state can be saved. */
  waiting: 9,
  /** Host: bytes of `encodeModules`. */
  modules: 10,
} as const;

/** Name of the virtio-serial port in the lab. */
export const portName = 'hvipi';

export type FrameKind = keyof typeof frameTypes;

export interface Frame {
  readonly kind: FrameKind;
  readonly payload: Buffer;
}

/** How a program ended that was run with `exec`; 128 + number for a signal, as shells have it. */
export interface ExecEnd {
  readonly exitCode: number;
}

/** A kernel module to be loaded in the lab. */
export interface LabModule {
  /** File name, always uncompressed: `kvm-amd.ko`. */
  readonly file: string;
  /** As on insmod's command line. */
  readonly parameters: string;
  readonly bytes: Buffer;
}

/** Modules in load order. */
export function encodeModules(modules: readonly LabModule[]): Buffer {
  const out = new Writer(modules.reduce((total, { bytes }) => total + bytes.length + 256, 16));
  out.u32(modules.length);
  for (const { file, parameters, bytes } of modules) {
    out.text(file);
    out.text(parameters);
    out.u32(bytes.length);
    out.bytes(bytes);
  }
  return out.finish();
}

export function decodeModules(payload: Buffer): LabModule[] {
  const input = new Reader(payload);
  return input.times(input.u32(), () => ({
    file: input.text(),
    parameters: input.text(),
    bytes: input.bytes(input.u32()),
  }));
}

const headerBytes = 5;
/** More than any batch needs; a larger length means that the two sides have lost each other. */
const payloadBytesMax = 256 * 1024 * 1024;
const kindOfType = new Map(Object.entries(frameTypes).map(([kind, type]) => [type as number, kind as FrameKind]));

export function encodeFrame(kind: FrameKind, payload: Buffer | string): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const frame = Buffer.allocUnsafe(headerBytes + bytes.length);
  frame.writeUInt32LE(bytes.length, 0);
  frame.writeUInt8(frameTypes[kind], 4);
  bytes.copy(frame, headerBytes);
  return frame;
}

/** Turns bytes that arrive in pieces of any size into frames. */
export class FrameDecoder {
  private pieces: Buffer[] = [];
  private length = 0;

  /**
   * Takes the next bytes (kept, so the caller must not reuse them) and returns the frames that they complete.
   *
   * @throws Error when the bytes are no frames.
   */
  push(bytes: Buffer): Frame[] {
    this.pieces.push(bytes);
    this.length += bytes.length;
    const frames: Frame[] = [];
    for (let frame = this.next(); frame !== null; frame = this.next()) frames.push(frame);
    return frames;
  }

  private next(): Frame | null {
    if (this.length < headerBytes) return null;
    const head = this.joined(headerBytes);
    const payloadBytes = head.readUInt32LE(0);
    const kind = kindOfType.get(head.readUInt8(4));
    if (kind === undefined || payloadBytes > payloadBytesMax) {
      throw new Error(`not a frame of the lab's protocol: ${head.subarray(0, 16).toString('hex')}`);
    }
    const total = headerBytes + payloadBytes;
    if (this.length < total) return null;
    const all = this.joined(total);
    this.pieces.shift();
    if (all.length > total) this.pieces.unshift(all.subarray(total));
    this.length -= total;
    return { kind, payload: all.subarray(headerBytes, total) };
  }

  /** The first piece, joined with those after it only when it is shorter than `length`. */
  private joined(length: number): Buffer {
    if (this.pieces[0]!.length < length) {
      this.pieces = [Buffer.concat(this.pieces)];
    }
    return this.pieces[0]!;
  }
}
