import { describe, expect, it } from 'vitest';
import { arenaStart, ramEnd } from '../../../src/case/memory.ts';
import { contractFor } from '../../../oracle/contract.ts';
import { bankHalf, decodeCall } from '../../../oracle/call/decode.ts';
import { ModelMemory } from '../../../oracle/state/memory.ts';
import { bytesOf, facts, registersOf } from '../programs.ts';

const contract = contractFor(facts);

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

  it('should read the fixed part up to the end of RAM', () => {
    const at = (rdx: bigint) => decodeCall(registersOf({ rcx: 0x0bn, rdx }), new ModelMemory(), contract);
    expect(at(ramEnd - 16n)).toMatchObject({ headIsReadable: true, banksAreReadable: true, bankCount: 1 });
    expect(at(ramEnd - 15n)).toMatchObject({ headIsReadable: false, banksAreReadable: true, bankCount: 0 });
  });

  it('should read nothing of an unknown call', () => {
    const registers = registersOf({ rcx: 0x0001_000fn, rdx: 0xfen, r8: 1n });
    expect(decodeCall(registers, new ModelMemory(), contract)).toMatchObject({
      headIsReadable: true,
      banksAreReadable: true,
      vector: 0,
      maskCount: 0,
      bankCount: 0,
    });
  });

  it('should say what could not be read', () => {
    const at = (rdx: bigint) => decodeCall(registersOf({ rcx: 0x0004_0015n, rdx }), new ModelMemory(), contract);
    expect(at(ramEnd - 40n)).toMatchObject({ headIsReadable: true, banksAreReadable: true });
    expect(at(ramEnd - 39n)).toMatchObject({ headIsReadable: true, banksAreReadable: false, bankCount: 0 });
    expect(at(ramEnd - 23n)).toMatchObject({ headIsReadable: false, banksAreReadable: false });
  });
});
