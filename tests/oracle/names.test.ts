import { describe, expect, it } from 'vitest';
import { formatException, formatHex, formatResult, formatVectors } from '../../oracle/names.ts';

describe('formatHex', () => {
  it.each([
    [0, 1, '0x0'],
    [0x1f, 4, '0x001f'],
    [0x1_0000_0000n, 1, '0x100000000'],
  ] as const)('should write %d in %i digits or more as %s', (value, digits, text) => {
    expect(formatHex(value, digits)).toBe(text);
  });
});

describe('formatVectors', () => {
  it.each([
    [[], 'nothing'],
    [[0x0f], '0x0f'],
    [[0xfe, 0x20], '0xfe, 0x20'],
  ])('should write %j as %s', (vectors, text) => {
    expect(formatVectors(vectors)).toBe(text);
  });
});

describe('formatResult', () => {
  it.each([
    [null, 'no result'],
    [0n, 'HV_STATUS_SUCCESS (0)'],
    [3n, 'HV_STATUS_INVALID_HYPERCALL_INPUT (3)'],
    [0x5an, 'status 90'],
    [0x1_0000n, '0x0000000000010000: HV_STATUS_SUCCESS (0) and more bits'],
    [0xffff_ffff_ffff_ffffn, '0xffffffffffffffff: status 65535 and more bits'],
  ])('should write %s as %s', (result, text) => {
    expect(formatResult(result)).toBe(text);
  });
});

describe('formatException', () => {
  it.each([
    [null, 'none'],
    [6, '#UD (vector 6)'],
    [8, '#DF (vector 8)'],
    [13, '#GP (vector 13)'],
    [14, '#PF (vector 14)'],
    [3, 'exception (vector 3)'],
  ])('should write %s as %s', (vector, text) => {
    expect(formatException(vector)).toBe(text);
  });
});
