/**
 * A VM's guest memory as scripts fill it: the guest program's image once, the input blocks of programs and their removal.
 * The hand keeps a copy of what memory should hold, and reports what differs.
 */
import { arenaStart } from '../../case/memory.ts';
import type { Read } from '../writer.ts';
import { areaParts, imageOf } from '../../guest/image.ts';
import * as map from '../../guest/memory-map.ts';
import { gpaOf, hostOffset } from '../../guest/memory-map.ts';
import type { GuestCode } from '../../guest/program.ts';
import { memoryParts } from '../../hand/operations.ts';
import type { Script } from '../../hand/script.ts';
import type { MemoryChange } from '../../program/observation.ts';
import type { MemoryWrite } from '../../program/program.ts';
import { addMemslots } from './memslots.ts';
import type { Slots } from './slots.ts';

/** Report at most so many changed words of a range. */
const changesMax = 16;
const pageBytes = 0x1000;
const memoryAndCopy = memoryParts.memory | memoryParts.copy;

export class GuestMemory {
  readonly #vm: number;
  #written: { offset: number; length: number }[] = [];

  constructor(vm: number) {
    this.#vm = vm;
  }

  /** Adds memslots, and the guest program for so many vCPUs. The VM has memory of `map.memoryBytesOf`. */
  create(script: Script, slots: Slots, code: GuestCode, vcpuCount: number): void {
    addMemslots(script, this.#vm, vcpuCount);
    // Page tables are those of as many vCPUs as there are.
    const key = `image ${map.upperSlotOf(vcpuCount) === null ? 'small' : vcpuCount}`;
    const image = slots.of(script, key, () => imageOf(code, vcpuCount));
    script.add('writeKept', { vm: this.#vm, where: memoryAndCopy, offset: 0, slot: image });
    for (let position = 0; position < vcpuCount; position++) {
      for (const { offset, bytes } of areaParts(position)) {
        script.add('write', { vm: this.#vm, where: memoryAndCopy, offset, bytes });
      }
    }
  }

  /** Writes to the arena or the read-only slot as the host. */
  write(script: Script, writes: readonly MemoryWrite[]): void {
    for (const { gpa, bytes } of writes) {
      if (gpa < arenaStart) throw new RangeError(`0x${gpa.toString(16)} is below the arena`);
      const offset = hostOffset(gpa);
      script.add('write', { vm: this.#vm, where: memoryAndCopy, offset, bytes });
      this.#written.push({ offset, length: bytes.length });
    }
  }

  /** Makes everything that was written zero again. */
  undoWrites(script: Script): void {
    for (const { offset, length } of this.#written) script.add('zero', { vm: this.#vm, offset, length });
    this.#written = [];
  }

  /** Changes of memory that nobody may write, lowest first, at most 16; they are then undone. */
  takeChanges(script: Script): Read<MemoryChange[]> {
    const reads = map.quietRanges.map(({ start, end }) => this.#diff(script, start, end - start));
    return (record) => reads.flatMap((read) => read(record)).slice(0, changesMax);
  }

  /** The same of the pages at these addresses alone. */
  takeChangesOf(script: Script, pages: readonly bigint[]): Read<MemoryChange[]> {
    const reads = pages.map((gpa) => this.#diff(script, hostOffset(gpa), pageBytes));
    return (record) => reads.flatMap((read) => read(record));
  }

  #diff(script: Script, offset: number, length: number): Read<MemoryChange[]> {
    script.add('diff', { vm: this.#vm, offset, length, stride: 0, count: 1, restore: 1, most: changesMax });
    return (record) =>
      record.words().map((word) => ({
        gpa: gpaOf(word.offset),
        before: wordBytes(word.expected),
        after: wordBytes(word.actual),
      }));
  }
}

function wordBytes(word: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(word, 0);
  return bytes;
}
