import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countFolded, foldRanges } from '../../../src/case/ranges.ts';

const hex = (number: number): string => `0x${number.toString(16)}`;

describe('foldRanges', () => {
  it.each<[number[], string[]]>([
    [[], []],
    [[0x30], ['0x30']],
    [
      [0x30, 0x31],
      ['0x30', '0x31'],
    ],
    [[0x30, 0x31, 0x32], ['0x30-0x32']],
    [
      [0xfe, 0x42, 0x41, 0x40, 0x10],
      ['0xfe', '0x42-0x40', '0x10'],
    ],
    [
      [5, 5, 5],
      ['0x5', '0x5', '0x5'],
    ],
    [Array.from({ length: 256 }, (_, vector) => vector), ['0x0-0xff']],
  ])('should fold %j', (numbers, parts) => {
    expect(foldRanges(numbers, hex)).toEqual(parts);
  });

  it('should stand for as many numbers as it was given', () => {
    const lists = fc.array(fc.nat(12), { maxLength: 40 });
    fc.assert(
      fc.property(lists, (numbers) => {
        expect(countFolded(foldRanges(numbers, hex))).toBe(numbers.length);
      }),
      { seed: 42 },
    );
  });
});
