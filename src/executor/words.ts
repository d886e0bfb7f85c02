/** Bytes as 32-bit words of the same memory: to compare those makes no objects, as 64-bit words do. */
export function wordsOf(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** Whether the 64 bits that begin at a word of one are those that begin at a word of the other. */
export function isSameLong(left: Uint32Array, leftAt: number, right: Uint32Array, rightAt: number): boolean {
  return left[leftAt] === right[rightAt] && left[leftAt + 1] === right[rightAt + 1];
}
