/**
 * Bytes as 32-bit words of the same memory: to compare them makes no objects, as 64-bit words do.
 */
export function wordsOf(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
