import { describe, expect, it } from 'vitest';
import { operations } from '../../../src/hand/operations.ts';
import { encodePatches, Script, wordPatch } from '../../../src/hand/script.ts';
import { decodeScript, outlineOf } from '../../hand/decode.ts';

const codeOf = (name: keyof typeof operations) => Object.keys(operations).indexOf(name);
const hex = (script: Script) => Buffer.from(script.finish()).toString('hex');

describe('Script', () => {
  it('should write an operation as its code and its fields, little-endian and without padding', () => {
    const script = new Script();
    script.add('memslot', { vm: 1, slot: 2, flags: 3, gpa: 0x1122_3344_5566_7788n, size: 0xfffff000, offset: 5 });
    const fields = '01000000 02000000 03000000 8877665544332211 00f0ffff 05000000'.replaceAll(' ', '');
    expect(hex(script)).toBe(codeOf('memslot').toString(16).padStart(2, '0') + fields);
  });

  it('should write bytes behind their length, and a negative number as 64 bits', () => {
    const script = new Script();
    script.add('keep', { slot: 7, bytes: Buffer.from([1, 2, 3]) });
    script.add('put', { vm: 0, offset: 8, value: -1 });
    const [keep, put] = [codeOf('keep'), codeOf('put')].map((code) => code.toString(16).padStart(2, '0'));
    expect(hex(script)).toBe(`${keep}0700000003000000010203${put}0000000008000000${'f'.repeat(16)}`);
  });

  it('should give each case the length up to the next one', () => {
    const script = new Script();
    script.case(5);
    script.add('settle', {});
    script.add('settle', {});
    script.case(6);
    script.add('giveUp', {});
    const [settle, giveUp] = [codeOf('settle'), codeOf('giveUp')].map((code) => code.toString(16).padStart(2, '0'));
    expect(hex(script)).toBe(`000500000002000000${settle}${settle}000600000001000000${giveUp}`);
  });

  it('should give a branch the length of what it may leave out, also where one is in another', () => {
    const script = new Script();
    script.case(0);
    script.branch('ifPending', { vcpu: 1 }, () => {
      script.add('settle', {});
      script.branch('ifMissed', {}, () => script.add('giveUp', {}));
    });
    script.add('settle', {});
    const bytes = script.finish();
    expect(outlineOf(bytes)).toEqual(['case', 'ifPending', '  settle', '  ifMissed', '    giveUp', 'settle']);
    const skips = decodeScript(bytes).map(({ fields }) => fields['skip']);
    // `settle` and `ifMissed` with its four bytes and `giveUp`; and that alone.
    expect(skips).toEqual([undefined, 7, undefined, 1, undefined, undefined]);
  });

  it('should hold what does not fit into its first buffer', () => {
    const script = new Script();
    const bytes = Buffer.alloc(50_000, 0xab);
    for (let slot = 0; slot < 5; slot++) script.add('keep', { slot, bytes });
    const read = decodeScript(script.finish());
    expect(read.map(({ fields }) => fields['slot'])).toEqual([0, 1, 2, 3, 4]);
    for (const { fields } of read) expect(bytes.equals(fields['bytes'] as Buffer)).toBe(true);
  });

  it('should read back as it was written, every operation', () => {
    const script = new Script();
    const written = Object.entries(operations).map(([name, layout]) => {
      const values = Object.entries(layout).map(([field, type], place): [string, number | bigint | Buffer] => {
        if (type === 'bytes') return [field, Buffer.from([place, 9, 8])];
        return [field, type === 'u64' ? 0xfedc_ba98_7654_3210n + BigInt(place) : type === 'skip' ? 0 : 0x71 + place];
      });
      script.add(name as 'put', Object.fromEntries(values) as never);
      return { name, fields: Object.fromEntries(values) };
    });
    expect(decodeScript(script.finish()).map(({ name, fields }) => ({ name, fields }))).toEqual(written);
  });
});

describe('encodePatches', () => {
  it('should write offset, length and bytes of each', () => {
    const patches = [wordPatch(0x80, 0xffff_ffff), { offset: 0x1234, bytes: Buffer.from([7]) }];
    expect(encodePatches(patches).toString('hex')).toBe('80000400ffffffff3412010007');
    expect(encodePatches([])).toHaveLength(0);
  });
});
