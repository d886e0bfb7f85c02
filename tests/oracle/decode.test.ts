import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arenaStart, ramEnd } from '../../src/case/memory.ts';
import { contractFor, contractPoints } from '../../oracle/contract.ts';
import { bankHalf, decodeCall } from '../../oracle/decode.ts';
import { ModelMemory } from '../../oracle/memory.ts';
import { hasBit, popcount, popcountBelow, toBigInt } from '../../oracle/words.ts';
import { bytesOf, facts, registersOf } from './programs.ts';

const contract = contractFor(facts);
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const halves = fc.record({ low: u32, high: u32 });
const bit = fc.integer({ min: 0, max: 63 });

describe('decodeCall', () => {
  it('should take every field of the control word from its bits', () => {
    const call = decodeCall(registersOf({ rcx: 0xfabc_e123_9fff_000bn }), new ModelMemory(), contract);
    expect(call).toMatchObject({ code: 0x0b, isFast: true, variableHeader: 0x3ff, repCount: 0x123, repStart: 0xabc });
    expect(call.reserved).toEqual({ low: 0x9800_0000, high: 0xf000_e000 });
  });

  it('should read a fast Ex call from RDX, R8 and the XMM registers', () => {
    const xmm = [0x5n, 0x21n, 0x8000_0000_0000_0004n];
    const registers = registersOf({ rcx: 0x0005_0015n, rdx: 0x0201_0003_0000_00fen, r8: 0x1_0000_0001n, xmm });
    const call = decodeCall(registers, new ModelMemory(), contract);
    expect(call).toMatchObject({ vector: 0xfe, afterVector: 0x0201_0003, format: { low: 1, high: 1 }, maskCount: 2 });
    expect([0, 1, 2].map((slot) => [bankHalf(call, slot, 0), bankHalf(call, slot, 1)])).toEqual([
      [0x21, 0],
      [4, 0x8000_0000],
      [0, 0],
    ]);
  });

  it('should read a slow call from memory, at any alignment', () => {
    const memory = new ModelMemory();
    memory.write({ gpa: arenaStart + 3n, bytes: bytesOf([0x77_0000_00fen, 0x8000_0000_0000_0001n]) });
    const call = decodeCall(registersOf({ rcx: 0x0bn, rdx: arenaStart + 3n }), memory, contract);
    expect(call).toMatchObject({ vector: 0xfe, afterVector: 0x77, mask: { low: 1, high: 0 }, bankCount: 1 });
    expect([bankHalf(call, 0, 0), bankHalf(call, 0, 1)]).toEqual([1, 0x8000_0000]);
  });

  it('should say what could not be read', () => {
    const at = (rdx: bigint) => decodeCall(registersOf({ rcx: 0x0004_0015n, rdx }), new ModelMemory(), contract);
    expect(at(ramEnd - 40n)).toMatchObject({ headIsReadable: true, banksAreReadable: true });
    expect(at(ramEnd - 39n)).toMatchObject({ headIsReadable: true, banksAreReadable: false, bankCount: 0 });
    expect(at(ramEnd - 23n)).toMatchObject({ headIsReadable: false });
  });
});

describe('ModelMemory', () => {
  it('should be zero until written, and let later writes cover earlier ones', () => {
    const memory = new ModelMemory();
    const read = (gpa: bigint, length: number) => {
      const view = memory.read(gpa, length)!;
      return view.bytes.subarray(view.offset, view.offset + length).toString('hex');
    };
    expect(read(arenaStart, 4)).toBe('00000000');
    memory.write({ gpa: arenaStart, bytes: Buffer.from('11111111', 'hex') });
    expect(read(arenaStart + 1n, 2)).toBe('1111');
    memory.write({ gpa: arenaStart + 2n, bytes: Buffer.from('2222', 'hex') });
    expect(read(arenaStart, 6)).toBe('111122220000');
    memory.write({ gpa: arenaStart + 0x800n, bytes: Buffer.from('33', 'hex') });
    expect(read(arenaStart, 6)).toBe('111122220000');
  });

  it('should refuse what is not all in RAM', () => {
    const memory = new ModelMemory();
    expect(memory.read(ramEnd - 16n, 16)).not.toBeNull();
    expect(memory.read(ramEnd - 15n, 16)).toBeNull();
    expect(memory.read(2n ** 64n - 1n, 1)).toBeNull();
  });
});

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
});

describe('contractFor', () => {
  it.each([
    [1024, 16],
    [4096, 64],
    [1000, 16],
    [8192, 64],
  ])('should cap the banks of a KVM of %i vCPUs at %i', (kvmMaxVcpus, bankReadMax) => {
    expect(contractFor({ ...facts, kvmMaxVcpus })).toEqual({ vpIndexLimit: kvmMaxVcpus, bankReadMax });
  });

  it.each(contractPoints)('should cite a source for $name', ({ source }) => {
    expect(source).toMatch(/kvm_/);
  });
});
