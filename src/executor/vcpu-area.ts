/** The words of one vCPU's area of guest memory. Numbers, not bigints: what the host puts there has 32 bits. */
import { wordsOf } from './words.ts';

export class VcpuArea {
  /** Its first address. */
  readonly base: number;
  readonly #words: Uint32Array;

  constructor(memory: Buffer, base: number) {
    this.base = base;
    this.#words = wordsOf(memory);
  }

  /** Sets a 64-bit word; a negative number is sign-extended. */
  put(offset: number, value: number): void {
    const at = (this.base + offset) >>> 2;
    this.#words[at] = value;
    this.#words[at + 1] = value < 0 ? -1 : 0;
  }

  /** The lower half of a word. */
  get(offset: number): number {
    return this.#words[(this.base + offset) >>> 2]!;
  }
}
