import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasBit, popcount, popcountBelow, readHalves, toBigInt, zeroHalves } from '../../oracle/words.ts';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const halves = fc.record({ low: u32, high: u32 });
const bit = fc.integer({ min: 0, max: 63 });

describe('words', () => {
  it('should count and test bits as arithmetic on the whole number does', () => {
    fc.assert(
      fc.property(halves, bit, (value, at) => {
        const whole = toBigInt(value);
        const ones = (number: bigint) => number.toString(2).replaceAll('0', '').length;
        expect(popcount(value)).toBe(ones(whole));
        expect(popcountBelow(value, at)).toBe(ones(whole & ((1n << BigInt(at)) - 1n)));
        expect(hasBit(value, at)).toBe(((whole >> BigInt(at)) & 1n) === 1n);
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  it('should read the low half first', () => {
    const bytes = Buffer.from('00112233445566778899', 'hex');
    expect(readHalves(bytes, 1)).toEqual({ low: 0x4433_2211, high: 0x8877_6655 });
    expect(toBigInt(readHalves(bytes, 1))).toBe(0x8877_6655_4433_2211n);
  });

  it('should have a zero', () => {
    expect(toBigInt(zeroHalves)).toBe(0n);
  });
});
