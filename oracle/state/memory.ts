/**
 * Guest memory as the model needs it: zero, overlaid by what the steps wrote, in order. A list of writes instead of an
 * image, because a program writes little and reads less.
 */
import { isReadable } from '../../src/case/memory.ts';
import type { MemoryChange } from '../../src/program/observation.ts';
import type { MemoryWrite } from '../../src/program/program.ts';

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

/** Changes of memory are observed in words of this many bytes. */
const wordBytes = 8;

export class ModelMemory {
  readonly #writes: PlacedWrite[] = [];
  /** The same without what KVM wrote; null as long as it wrote nothing. */
  #hostMemory: ModelMemory | null = null;
  readonly #touched: PlacedWrite[] = [];

  /** Keeps a write by the host; it covers earlier ones. */
  write({ gpa, bytes }: MemoryWrite): void {
    const start = Number(gpa);
    this.#writes.push({ start, end: start + bytes.length, bytes });
    this.#hostMemory?.write({ gpa, bytes });
  }

  /** Keeps a write by KVM. */
  writeAsKvm({ gpa, bytes }: MemoryWrite): void {
    if (this.#hostMemory === null) {
      this.#hostMemory = new ModelMemory();
      for (const write of this.#writes) this.#hostMemory.write({ gpa: BigInt(write.start), bytes: write.bytes });
    }
    const start = Number(gpa);
    const write = { start, end: start + bytes.length, bytes };
    this.#writes.push(write);
    this.#touched.push(write);
  }

  /** Words of memory that KVM made differ from what the host wrote, by address. */
  changes(): MemoryChange[] {
    if (this.#touched.length === 0) return [];
    const words = new Set(this.#touched.flatMap(({ start, end }) => wordsBetween(start, end)));
    return [...words]
      .sort((a, b) => a - b)
      .flatMap((word): MemoryChange[] => {
        const gpa = BigInt(word);
        const [before, after] = [this.#hostMemory!.#copy(word), this.#copy(word)];
        return before.equals(after) ? [] : [{ gpa, before, after }];
      });
  }

  #copy(word: number): Buffer {
    const { bytes, offset } = this.read(BigInt(word), wordBytes)!;
    return bytes.subarray(offset, offset + wordBytes);
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

/** Starts of the words that a range of addresses touches. */
function wordsBetween(start: number, end: number): number[] {
  const words: number[] = [];
  for (let word = start - (start % wordBytes); word < end; word += wordBytes) words.push(word);
  return words;
}
