/**
 * Sequential writing and reading of little-endian bytes, through a DataView: the methods of Buffer are JavaScript that puts
 * bytes together.
 */

/** Grows as needed. */
export class Writer {
  #buffer: Buffer;
  #view: DataView;
  #length = 0;

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafe(capacity);
    this.#view = viewOf(this.#buffer);
  }

  u8(value: number): void {
    // The place first: making room may replace the buffer.
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: bigint): void {
    const at = this.#room(8);
    this.#view.setBigUint64(at, value, true);
  }

  f64(value: number): void {
    const at = this.#room(8);
    this.#view.setFloat64(at, value, true);
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
      this.#view = viewOf(grown);
    }
    return at;
  }
}

/** Throws RangeError at the end of the bytes. Byte strings are views, not copies. */
export class Reader {
  readonly #buffer: Buffer;
  readonly #view: DataView;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.#view = viewOf(buffer);
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#advance(8), true);
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

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}
