import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatList, parseList } from '../../../src/case/cpulist.ts';

describe('formatList', () => {
  it.each<[number[], string]>([
    [[], ''],
    [[7], '7'],
    [[0, 1], '0-1'],
    [[0, 1, 2, 3, 65], '0-3,65'],
    [[65, 3, 1, 2, 3, 0], '0-3,65'],
    [[9, 10, 100], '9-10,100'],
  ])('should format %j as "%s"', (numbers, text) => {
    expect(formatList(numbers)).toBe(text);
  });
});

describe('parseList', () => {
  it.each<[string, number[]]>([
    ['', []],
    ['0-3,65', [0, 1, 2, 3, 65]],
    ['65, 0-1', [0, 1, 65]],
    ['3-3,2-4', [2, 3, 4]],
    ['0x10-0x12,0x1F,20', [16, 17, 18, 20, 31]],
  ])('should parse "%s"', (text, numbers) => {
    expect(parseList(text, 100)).toEqual(numbers);
  });

  it.each([
    ['x', '"x" is neither a number nor a range like 3-7'],
    ['1,,2', '"" is neither a number nor a range like 3-7'],
    ['-1', '"-1" is neither a number nor a range like 3-7'],
    ['0x', '"0x" is neither a number nor a range like 3-7'],
    ['7-3', 'the range "7-3" runs backwards'],
    ['3-100', '100 is above 99'],
    ['1-9999999', '"1-9999999" is neither a number nor a range like 3-7'],
  ])('should refuse "%s"', (text, message) => {
    expect(() => parseList(text, 100)).toThrow(message);
  });

  it('should undo formatList', () => {
    const set = fc.uniqueArray(fc.nat(4095), { maxLength: 200 });
    fc.assert(
      fc.property(set, (numbers) => {
        expect(parseList(formatList(numbers), 4096)).toEqual(numbers.sort((a, b) => a - b));
      }),
      { seed: 42 },
    );
  });
});
