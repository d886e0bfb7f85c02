/** Watches guest memory that nothing but the host's own writes may change. */
import { arenaStart } from '../case/memory.ts';
import type { MemoryChange } from '../case/observation.ts';

/** Report at most so many changed words. */
const changesMax = 16;
const wordBytes = 8;

export class MemoryWatch {
  readonly #memory: Buffer;
  readonly #ranges: readonly { readonly start: number; readonly end: number }[];
  /** What memory should hold, at the same addresses. */
  readonly #expected: Buffer;
  #written: { start: number; end: number }[] = [];

  constructor(memory: Buffer, ranges: readonly { readonly start: number; readonly end: number }[]) {
    this.#memory = memory;
    this.#ranges = ranges;
    this.#expected = Buffer.from(memory);
  }

  /** Writes to the arena as the host. */
  write(gpa: number, bytes: Buffer): void {
    if (gpa < Number(arenaStart)) throw new RangeError(`0x${gpa.toString(16)} is below the arena`);
    bytes.copy(this.#memory, gpa);
    bytes.copy(this.#expected, gpa);
    this.#written.push({ start: gpa, end: gpa + bytes.length });
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
      if (this.#memory.compare(this.#expected, start, end, start, end) === 0) continue;
      for (let gpa = start; gpa < end && changes.length < changesMax; gpa += wordBytes) {
        const after = this.#memory.subarray(gpa, gpa + wordBytes);
        const before = this.#expected.subarray(gpa, gpa + wordBytes);
        if (after.equals(before)) continue;
        changes.push({ gpa: BigInt(gpa), before: Buffer.from(before), after: Buffer.from(after) });
      }
      this.#expected.copy(this.#memory, start, start, end);
    }
    return changes;
  }
}
