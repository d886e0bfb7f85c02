/** Watches guest memory that nothing but the host's own writes may change. */
import { arenaStart } from '../case/memory.ts';
import { gpaOf, hostOffset } from '../guest/memory-map.ts';
import type { MemoryChange } from '../program/observation.ts';
import { isSameLong, wordsOf } from './words.ts';

/** Report at most so many changed words. */
const changesMax = 16;
const wordBytes = 8;
/** A word is two of what is compared: 32-bit numbers need no objects. */
const halfBytes = 4;
/** Ranges begin and end with pages. */
const pageBytes = 0x1000;

export class MemoryWatch {
  readonly #memory: Buffer;
  readonly #ranges: readonly { readonly start: number; readonly end: number }[];
  /** What memory should hold, at the same addresses. */
  readonly #expected: Buffer;
  readonly #halves: Uint32Array;
  readonly #expectedHalves: Uint32Array;
  #written: { start: number; end: number }[] = [];

  constructor(memory: Buffer, ranges: readonly { readonly start: number; readonly end: number }[]) {
    this.#memory = memory;
    this.#ranges = ranges;
    this.#expected = Buffer.alloc(memory.length);
    memory.copy(this.#expected);
    this.#halves = wordsOf(memory);
    this.#expectedHalves = wordsOf(this.#expected);
  }

  /** Writes to the arena or the read-only slot as the host. */
  write(gpa: bigint, bytes: Buffer): void {
    if (gpa < arenaStart) throw new RangeError(`0x${gpa.toString(16)} is below the arena`);
    const start = hostOffset(gpa);
    bytes.copy(this.#memory, start);
    bytes.copy(this.#expected, start);
    this.#written.push({ start, end: start + bytes.length });
  }

  /** Makes everything that was written zero again. */
  undoWrites(): void {
    for (const { start, end } of this.#written) {
      this.#memory.fill(0, start, end);
      this.#expected.fill(0, start, end);
    }
    this.#written = [];
  }

  /** The words that changed, lowest first, at most 16; they are then put back. */
  takeChanges(): MemoryChange[] {
    const changes: MemoryChange[] = [];
    for (const { start, end } of this.#ranges) {
      // Page by page: most of memory is as it should be, and looking at single words is slow.
      for (let page = start; page < end; page += pageBytes) this.#takeFromPage(page, changes);
    }
    return changes;
  }

  /** The same of the pages at these addresses alone. */
  takeChangesOf(pages: Iterable<bigint>): MemoryChange[] {
    const changes: MemoryChange[] = [];
    for (const gpa of pages) this.#takeFromPage(hostOffset(gpa), changes);
    return changes;
  }

  #takeFromPage(page: number, changes: MemoryChange[]): void {
    const end = page + pageBytes;
    if (this.#memory.compare(this.#expected, page, end, page, end) === 0) return;
    const [halves, expected] = [this.#halves, this.#expectedHalves];
    for (let half = page / halfBytes; half < end / halfBytes && changes.length < changesMax; half += 2) {
      if (isSameLong(halves, half, expected, half)) continue;
      const at = half * halfBytes;
      const before = Buffer.from(this.#expected.subarray(at, at + wordBytes));
      changes.push({ gpa: gpaOf(at), before, after: Buffer.from(this.#memory.subarray(at, at + wordBytes)) });
    }
    this.#expected.copy(this.#memory, page, page, end);
  }
}
