/** Structures of which some bytes never change: these are written once and then copied. */

/** Bytes at their place in a structure. */
interface Piece {
  readonly offset: number;
  readonly bytes: Buffer;
}

/**
 * The bytes that a function writes into a structure, whatever was there.
 *
 * @param write writes the same bytes at each call, and looks at none of the buffer's.
 */
export function constantBytes(size: number, write: (buffer: Buffer) => void): Piece[] {
  const [onZeros, onOnes] = [Buffer.alloc(size, 0), Buffer.alloc(size, 0xff)];
  write(onZeros);
  write(onOnes);
  const pieces: Piece[] = [];
  for (let at = 0; at < size; at++) {
    if (onZeros[at] !== onOnes[at]) continue;
    const last = pieces.at(-1);
    const isNext = last !== undefined && last.offset + last.bytes.length === at;
    const start = isNext ? last.offset : at;
    if (isNext) pieces.pop();
    pieces.push({ offset: start, bytes: onZeros.subarray(start, at + 1) });
  }
  return pieces;
}
