/**
 * 64-bit values as two 32-bit halves: what the model computes with, because BigInt arithmetic for every vCPU of every
 * step would dominate the time of a prediction. Values that leave the model are bigint.
 */

/** Both halves are unsigned 32-bit numbers. */
export interface Halves {
  readonly low: number;
  readonly high: number;
}

export const zeroHalves: Halves = { low: 0, high: 0 };

/** Number of set bits of the low 32 bits of a number. */
function popcount32(value: number): number {
  let rest = value - ((value >>> 1) & 0x5555_5555);
  rest = (rest & 0x3333_3333) + ((rest >>> 2) & 0x3333_3333);
  return Math.imul((rest + (rest >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** Number of set bits. */
export function popcount(value: Halves): number {
  return popcount32(value.low) + popcount32(value.high);
}

/** Number of set bits below bit `bit` (0..63). */
export function popcountBelow(value: Halves, bit: number): number {
  if (bit < 32) return popcount32(value.low & ((1 << bit) - 1));
  return popcount32(value.low) + popcount32(value.high & ((1 << (bit - 32)) - 1));
}

/** Whether bit `bit` (0..63) is set. */
export function hasBit(value: Halves, bit: number): boolean {
  return ((bit < 32 ? value.low >>> bit : value.high >>> (bit - 32)) & 1) === 1;
}

export function readHalves(bytes: Buffer, offset: number): Halves {
  return halvesOf(bytes.readUInt32LE(offset), bytes.readUInt32LE(offset + 4));
}

export function halvesOf(low: number, high: number): Halves {
  return (low | high) === 0 ? zeroHalves : { low, high };
}

const readWords = new Uint32Array(2);
const readLongs = new BigUint64Array(readWords.buffer);

/** As `readBigUInt64LE`, which computes with bigints (this is x86: the host's byte order is the guest's). */
export function readLong(bytes: Buffer, offset: number): bigint {
  readWords[0] = bytes.readUInt32LE(offset);
  readWords[1] = bytes.readUInt32LE(offset + 4);
  return readLongs[0]!;
}

export function toBigInt(value: Halves): bigint {
  return (BigInt(value.high) << 32n) | BigInt(value.low);
}
