import { describe, expect, it } from 'vitest';
import { endings } from '../../../src/hand/operations.ts';
import { casesOfRecord, RecordEnd, RecordReader } from '../../../src/hand/record.ts';

const reader = (hex: string) => new RecordReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('RecordReader', () => {
  it('should read numbers little-endian, and end where the record does', () => {
    const record = reader('01 0203 04050607 feffffff 0102030405060708 aabb');
    expect([record.u8(), record.u16(), record.u32(), record.i32()]).toEqual([1, 0x0302, 0x07060504, -2]);
    expect(record.u64()).toBe(0x0807_0605_0403_0201n);
    expect(record.isAtEnd).toBe(false);
    expect(() => record.bytes(3)).toThrow(RecordEnd);
    expect(record.bytes(2).toString('hex')).toBe('aabb');
    expect(record.isAtEnd).toBe(true);
    expect(() => record.u8()).toThrow(RecordEnd);
  });

  it('should read words of memory that differ', () => {
    expect(reader('0000').words()).toEqual([]);
    expect(reader('0100 00200000 0100000000000000 ffffffffffffffff').words()).toEqual([
      { offset: 0x2000, expected: 1n, actual: 0xffff_ffff_ffff_ffffn },
    ]);
  });

  it('should read words of a structure that differ', () => {
    expect([...reader('0200 1002 00000001 1001 ffffffff').structure()]).toEqual([
      [0x210, 0x0100_0000],
      [0x110, 0xffff_ffff],
    ]);
    expect(reader('0000').structure().size).toBe(0);
  });

  it('should read an exit at a port, and calls that were answered before it', () => {
    expect(reader('00 00').exit()).toEqual({ status: 0, answers: [], facts: null });
    expect(reader('01 02 22 0102030405060708 1b 0000000000000000').exit()).toEqual({
      status: 1,
      answers: [
        { reason: 34, word: 0x0807_0605_0403_0201n },
        { reason: 27, word: 0n },
      ],
      facts: null,
    });
  });

  it('should read an exit that the script did not expect, with all registers', () => {
    const registers = Buffer.alloc(144, 0x5a);
    const record = reader(`02 00 08000000 f2ffffff 1000 ${registers.toString('hex')} 99`);
    expect(record.exit()).toEqual({ status: 2, answers: [], facts: { reason: 8, error: -14, port: 0x10, registers } });
    expect(record.u8()).toBe(0x99);
  });

  it('should find the request and the errno that ended a case', () => {
    expect(reader('ffff 8fae0044 16000000').failure()).toEqual({ request: 0x4400_ae8f, errno: 22 });
  });
});

describe('casesOfRecord', () => {
  it('should read cases one after the other, with how each ended', () => {
    const head = (number: number, ending: number, length: number) => {
      const bytes = Buffer.alloc(9);
      bytes.writeUInt32LE(number, 0);
      bytes.writeUInt8(ending, 4);
      bytes.writeUInt32LE(length, 5);
      return bytes;
    };
    const names = Object.keys(endings);
    const record = Buffer.concat(names.flatMap((_, code) => [head(7 + code, code, 1), Buffer.from([code])]));
    const read = [...casesOfRecord(record)].map((each) => [each.number, each.ending, each.reader.u8()]);
    expect(read).toEqual(names.map((name, code) => [7 + code, name, code]));
    expect([...casesOfRecord(Buffer.alloc(0))]).toEqual([]);
  });
});
