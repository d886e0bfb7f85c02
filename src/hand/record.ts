/** Reads records: what a hand appended while it executed a script. */
import { type Ending, endings } from './operations.ts';
import { sizes } from './uapi.ts';

const endingNames = Object.keys(endings) as Ending[];

/** A case of a script and what came of it. */
export interface CaseRecord {
  readonly number: number;
  readonly ending: Ending;
  readonly reader: RecordReader;
}

/** A record ends before everything was done: its case ended early. */
export class RecordEnd extends Error {
  override name = 'RecordEnd';
}

/** A 64-bit word of memory that is not what it should be. */
export interface WordDifference {
  readonly offset: number;
  readonly expected: bigint;
  readonly actual: bigint;
}

/** How a vCPU left KVM_RUN. */
export interface ExitRecord {
  /** 0: the port; 1: the other port; 2: neither. */
  readonly status: 0 | 1 | 2;
  /** Hypercalls that left the guest, and were answered: KVM_EXIT_*, and the watched word. */
  readonly answers: readonly { readonly reason: number; readonly word: bigint }[];
  /** Where it is neither port. */
  readonly facts: ExitFacts | null;
}

export interface ExitFacts {
  /** KVM_EXIT_*; KVM_EXIT_INTR where the vCPU made no exit and was given up. */
  readonly reason: number;
  /** 0, or minus errno of KVM_RUN. */
  readonly error: number;
  readonly port: number;
  /** struct kvm_regs. */
  readonly registers: Buffer;
}

/** What an ioctl gave, and its argument afterwards. */
export interface IoctlRecord {
  /** Minus errno where it failed. */
  readonly result: number;
  readonly argument: Buffer;
}

export class RecordReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#buffer.length;
  }

  u8(): number {
    return this.#buffer[this.#take(1)]!;
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  i32(): number {
    return this.#buffer.readInt32LE(this.#take(4));
  }

  u64(): bigint {
    return this.#buffer.readBigUInt64LE(this.#take(8));
  }

  bytes(length: number): Buffer {
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  /** Of `diff`. */
  words(): readonly WordDifference[] {
    const count = this.u16();
    if (count === 0) return noWords;
    return Array.from({ length: count }, () => ({ offset: this.u32(), expected: this.u64(), actual: this.u64() }));
  }

  /** Of `ioctlDiff`: 32-bit words by offset. */
  structure(): ReadonlyMap<number, number> {
    const count = this.u16();
    if (count === 0) return noStructure;
    const words = new Map<number, number>();
    for (let index = 0; index < count; index++) words.set(this.u16(), this.u32());
    return words;
  }

  /** Of an `ioctl` whose argument is recorded too. */
  ioctl(): IoctlRecord {
    return { result: this.i32(), argument: this.bytes(this.u32()) };
  }

  /** Of `registersDiff`: struct kvm_regs, of which `expected` was given. */
  registers(expected: Buffer): Buffer {
    const actual = Buffer.from(expected);
    for (let left = this.u8(); left > 0; left--) {
      const index = this.u8();
      actual.writeBigUInt64LE(this.u64(), 8 * index);
    }
    return actual;
  }

  /** Of `run` and `exit`. */
  exit(): ExitRecord {
    const status = this.u8() as ExitRecord['status'];
    const count = this.u8();
    const answers = count === 0 ? [] : Array.from({ length: count }, () => ({ reason: this.u8(), word: this.u64() }));
    if (status < 2) return { status, answers, facts: null };
    const facts = { reason: this.u32(), error: this.i32(), port: this.u16(), registers: this.bytes(sizes.kvm_regs) };
    return { status, answers, facts };
  }

  /** The last two numbers of a case that ended with `failed`. */
  failure(): { readonly request: number; readonly errno: number } {
    const at = this.#buffer.length - 8;
    return { request: this.#buffer.readUInt32LE(at), errno: this.#buffer.readInt32LE(at + 4) };
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#buffer.length) throw new RecordEnd('the record ends here');
    this.#at = at + length;
    return at;
  }
}

const noWords: readonly WordDifference[] = [];
const noStructure: ReadonlyMap<number, number> = new Map();

/** The cases of a record, in order. */
export function* casesOfRecord(record: Buffer): Generator<CaseRecord> {
  for (let at = 0; at < record.length;) {
    const length = record.readUInt32LE(at + 5);
    const start = at + 9;
    yield {
      number: record.readUInt32LE(at),
      ending: endingNames[record[at + 4]!]!,
      reader: new RecordReader(record.subarray(start, start + length)),
    };
    at = start + length;
  }
}
