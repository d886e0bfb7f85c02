import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { controlWord, sendIpiInput } from '../../src/abi/hypercall.ts';
import {
  decodeBits,
  defineLayout,
  describeBits,
  edgesOf,
  fieldOf,
  maxOf,
  putField,
  reservedBitsOf,
  wordField,
} from '../../src/abi/layout.ts';

const small = defineLayout('small', 8, [
  { name: 'low', bits: 1, meaning: 'one bit' },
  { name: 'reserved0', bits: 2, meaning: 'must be zero' },
  { name: 'high', bits: 5, meaning: 'five bits' },
]);

describe('defineLayout', () => {
  it('should place fields from the lowest bit up', () => {
    expect(small.fields.map(({ name, shift }) => [name, shift])).toEqual([
      ['low', 0],
      ['reserved0', 1],
      ['high', 3],
    ]);
  });

  it.each([7, 9])('should refuse fields that do not add up to %i bits', (bits) => {
    const define = () => defineLayout('wrong', bits, [{ name: 'all', bits: 8, meaning: '' }]);
    expect(define).toThrow(`wrong: fields have 8 bits, the layout has ${bits}`);
  });

  it('should refuse a name that stands twice', () => {
    const field = { name: 'same', bits: 4, meaning: '' };
    expect(() => defineLayout('double', 8, [field, field])).toThrow('double: a name stands twice');
  });
});

describe('wordField', () => {
  it('should say in which word a field stands, and where', () => {
    expect(wordField(controlWord, 'repStartIndex')).toMatchObject({ word: 1, shift: 16, max: 0xfff });
    expect(wordField(sendIpiInput, 'vector')).toMatchObject({ word: 0, shift: 0, max: 0xffff_ffff });
  });

  it('should refuse a field that straddles two words', () => {
    expect(() => wordField(sendIpiInput, 'processorMask')).toThrow('hv_send_ipi.processorMask straddles two words');
  });
});

describe('putField', () => {
  it('should put values beside each other', () => {
    const words = new Uint32Array(2);
    putField(words, 1, wordField(small, 'low'), 1);
    putField(words, 1, wordField(small, 'high'), 0b10001);
    expect([...words]).toEqual([0, 0b10001_00_1]);
  });

  it.each([-1, 32, NaN])('should refuse %i in a field of 5 bits', (high) => {
    expect(() => putField(new Uint32Array(1), 0, wordField(small, 'high'), high)).toThrow('small.high');
  });

  it('should undo decodeBits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: maxOf(64) }), (long) => {
        const longs = new BigUint64Array(1);
        const words = new Uint32Array(longs.buffer);
        const values = decodeBits(controlWord, long);
        for (const { name } of controlWord.fields)
          putField(words, 0, wordField(controlWord, name), Number(values[name]));
        expect(longs[0]).toBe(long);
      }),
      { seed: 42 },
    );
  });
});

describe('decodeBits', () => {
  it('should ignore bits above the layout', () => {
    expect(decodeBits(small, 0xff_89n)).toEqual({ low: 1n, reserved0: 0n, high: 0b10001n });
  });
});

describe('describeBits', () => {
  it('should name bit ranges as manuals do, high bit first', () => {
    expect(describeBits(small, 0x89n)).toEqual([
      { name: 'low', range: '0', value: 1n, meaning: 'one bit' },
      { name: 'reserved0', range: '2:1', value: 0n, meaning: 'must be zero' },
      { name: 'high', range: '7:3', value: 17n, meaning: 'five bits' },
    ]);
  });
});

describe('edgesOf', () => {
  it('should be 0, 1, each bit, and the two largest values, ascending', () => {
    expect(edgesOf(small, 'high')).toEqual([0n, 1n, 2n, 4n, 8n, 16n, 30n, 31n]);
    expect(edgesOf(small, 'low')).toEqual([0n, 1n]);
  });

  it('should hold both limits of the variable header size', () => {
    const edges = edgesOf(controlWord, 'variableHeaderSize');
    expect(edges).toContain(512n);
    expect(edges.at(-1)).toBe(1023n);
  });
});

describe('reservedBitsOf', () => {
  it('should number the bits of reserved fields', () => {
    expect(reservedBitsOf(small)).toEqual([1, 2]);
    expect(reservedBitsOf(controlWord)).toEqual([27, 28, 29, 30, 44, 45, 46, 47, 60, 61, 62, 63]);
  });
});

describe('fieldOf', () => {
  it('should refuse a name that the layout has not', () => {
    expect(() => fieldOf<string>(small, 'middle')).toThrow('small has no field middle');
  });
});

describe('maxOf', () => {
  it('should be all ones', () => {
    expect([1, 12, 64].map(maxOf)).toEqual([1n, 0xfffn, 0xffff_ffff_ffff_ffffn]);
  });
});
