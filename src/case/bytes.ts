/** Sequential writing and reading of little-endian bytes. */

/** Grows as needed. */
export class Writer {
  #buffer: Buffer;
  #length = 0;

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  u8(value: number): void {
    // The place first: making room may replace the buffer.
    const at = this.#room(1);
    this.#buffer[at] = value;
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#buffer.writeUInt16LE(value, at);
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value, at);
  }

  u64(value: bigint): void {
    const at = this.#room(8);
    this.#buffer.writeBigUInt64LE(value, at);
  }

  f64(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeDoubleLE(value, at);
  }

  bytes(value: Buffer): void {
    const at = this.#room(value.length);
    value.copy(this.#buffer, at);
  }

  text(value: string): void {
    const encoded = Buffer.from(value);
    this.u32(encoded.length);
    this.bytes(encoded);
  }

  /** What has been written; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #room(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    return at;
  }
}

/** Throws RangeError at the end of the bytes. Byte strings are views, not copies. */
export class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#advance(1));
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#advance(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#advance(4));
  }

  u64(): bigint {
    return this.#buffer.readBigUInt64LE(this.#advance(8));
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#advance(8));
  }

  bytes(length: number): Buffer {
    const at = this.#advance(length);
    if (this.#at > this.#buffer.length) throw new RangeError('the bytes end early');
    return this.#buffer.subarray(at, at + length);
  }

  text(): string {
    return this.bytes(this.u32()).toString();
  }

  /** The results of `read`, called `count` times. */
  times<T>(count: number, read: () => T): T[] {
    const results: T[] = [];
    for (let index = 0; index < count; index++) results.push(read());
    return results;
  }

  #advance(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}
