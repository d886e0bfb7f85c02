/**
 * Guest memory as the model needs it: zero, overlaid by what the steps wrote, in order. A list of writes instead of an
 * image, because a program writes little and reads less.
 */
import { isReadable } from '../src/case/memory.ts';
import type { MemoryWrite } from '../src/case/program.ts';

/** Bytes at `offset` of a buffer; they may be shared with the program, so nobody writes to them. */
export interface MemoryView {
  readonly bytes: Buffer;
  readonly offset: number;
}

interface PlacedWrite {
  readonly start: number;
  readonly end: number;
  readonly bytes: Buffer;
}

export class ModelMemory {
  readonly #writes: PlacedWrite[] = [];

  /** Keeps a write; it covers earlier ones. */
  write({ gpa, bytes }: MemoryWrite): void {
    const start = Number(gpa);
    this.#writes.push({ start, end: start + bytes.length, bytes });
  }

  /** `length` bytes at `gpa`, or null when KVM cannot read all of them (kvm_read_guest). */
  read(gpa: bigint, length: number): MemoryView | null {
    if (!isReadable(gpa, length)) return null;
    const start = Number(gpa);
    const end = start + length;
    const last = this.#writes.at(-1);
    if (last !== undefined && last.start <= start && last.end >= end) {
      return { bytes: last.bytes, offset: start - last.start };
    }
    const bytes = Buffer.alloc(length);
    for (const write of this.#writes) {
      const from = Math.max(start, write.start);
      const to = Math.min(end, write.end);
      if (from < to) write.bytes.copy(bytes, from - start, from - write.start, to - write.start);
    }
    return { bytes, offset: 0 };
  }
}
