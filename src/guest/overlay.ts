/** Structures of which some bytes are always written the same: the writing is done once, then bytes are copied. */

/** Bytes that a function writes into a structure, whatever was there. */
export class Overlay {
  readonly #bytes: Buffer;
  readonly #ranges: { start: number; end: number }[] = [];

  /** @param write writes the same bytes at each call, and looks at none of the buffer's. */
  constructor(size: number, write: (buffer: Buffer) => void) {
    this.#bytes = Buffer.alloc(size, 0);
    const other = Buffer.alloc(size, 0xff);
    write(this.#bytes);
    write(other);
    for (let at = 0; at < size; at++) {
      if (this.#bytes[at] !== other[at]) continue;
      const last = this.#ranges.at(-1);
      if (last?.end === at) last.end++;
      else this.#ranges.push({ start: at, end: at + 1 });
    }
  }

  /** What is written, by its offset. */
  get patches(): { readonly offset: number; readonly bytes: Buffer }[] {
    return this.#ranges.map(({ start, end }) => ({ offset: start, bytes: this.#bytes.subarray(start, end) }));
  }
}
