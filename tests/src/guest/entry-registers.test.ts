/** Registers of each mode against literals of struct kvm_sregs (uapi/asm/kvm.h) and SDM volume 3. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { callModes, isRealMode } from '../../../src/case/steps/environment.ts';
import { type Environment, plainEnvironment } from '../../../src/case/steps/environment.ts';
import type { ProgramCall } from '../../../src/program/program.ts';
import {
  copyGivenRegisters,
  keepsUpperHalves,
  quietGeneralRegisters,
  setEntrySpecialRegisters,
} from '../../../src/guest/entry-registers.ts';

type Mode = Environment['mode'];

/** Byte offsets in struct kvm_sregs. */
const at = { cs: 0, ds: 24, es: 48, fs: 72, gs: 96, ss: 120, tr: 144, gdt: 192, idt: 208 } as const;
const control = { cr0: 224, cr3: 240, cr4: 248, efer: 264 } as const;
const kept = { ldt: [168, 192], cr2: [232, 240], cr8: [256, 264], apicBase: [272, 280], bitmap: [280, 312] } as const;

function sregsOf(mode: Mode, cpl = 0, instruction: 'vmcall' | 'vmmcall' = 'vmmcall'): Buffer {
  const buffer = Buffer.alloc(312, 0x5a);
  setEntrySpecialRegisters(buffer, { ...plainEnvironment, mode, cpl }, instruction);
  return buffer;
}

/** struct kvm_segment: base, limit, selector, type, present, dpl, db, s, l, g. */
function segmentOf(sregs: Buffer, place: number) {
  const [type, present, dpl, db, s, l, g] = sregs.subarray(place + 14, place + 21);
  return {
    base: sregs.readBigUInt64LE(place),
    limit: sregs.readUInt32LE(place + 8),
    selector: sregs.readUInt16LE(place + 12),
    type,
    present,
    dpl,
    db,
    s,
    l,
    g,
  };
}

const flat = { base: 0n, limit: 0xffff_ffff, type: 0xb, present: 1, dpl: 0, s: 1, g: 1 };
const small = { ...flat, limit: 0xffff, db: 0, l: 0, g: 0 };

/** CR0, CR3, CR4, EFER, the code segment, and base and limit of the IDT. */
const expected: Record<Mode, [registers: bigint[], code: object, idt: [number, number]]> = {
  long: [[0x8000_0033n, 0x1000n, 0x620n, 0x500n], { ...flat, selector: 0x08, db: 0, l: 1 }, [0xa000, 511]],
  compat: [[0x8000_0033n, 0x1000n, 0x620n, 0x500n], { ...flat, selector: 0x28, db: 1, l: 0 }, [0xa000, 511]],
  protected32: [[0x8000_0033n, 0x9000n, 0x610n, 0n], { ...flat, selector: 0x28, db: 1, l: 0 }, [0xa200, 255]],
  unpaged32: [[0x33n, 0n, 0x600n, 0n], { ...flat, selector: 0x28, db: 1, l: 0 }, [0xa200, 255]],
  protected16: [[0x33n, 0n, 0x600n, 0n], { ...small, selector: 0x28 }, [0xa200, 255]],
  real: [[0x32n, 0n, 0x600n, 0n], { ...small, selector: 0 }, [0xa300, 127]],
};

describe.each(callModes)('setEntrySpecialRegisters, %s', (mode) => {
  const sregs = sregsOf(mode);
  const [registers, code, [idtBase, idtLimit]] = expected[mode];

  it('should have the control registers and the code segment of the mode', () => {
    expect(Object.values(control).map((place) => sregs.readBigUInt64LE(place))).toEqual(registers);
    expect(segmentOf(sregs, at.cs)).toEqual(code);
  });

  it('should have data segments that begin at 0, with the width of the code', () => {
    const isReal = mode === 'real';
    const isSmall = isReal || mode === 'protected16';
    const data = { ...(isSmall ? small : { ...flat, db: 1, l: 0 }), type: 3, selector: isReal ? 0 : 0x10 };
    for (const place of [at.ds, at.es, at.fs, at.gs, at.ss]) expect(segmentOf(sregs, place)).toEqual(data);
  });

  it('should have the tables of the mode', () => {
    expect([sregs.readBigUInt64LE(at.idt), sregs.readUInt16LE(at.idt + 8)]).toEqual([BigInt(idtBase), idtLimit]);
    expect([sregs.readBigUInt64LE(at.gdt), sregs.readUInt16LE(at.gdt + 8)]).toEqual([0x7f00n, 0xff]);
    expect(sregs.readBigUInt64LE(at.tr)).toBe(keepsUpperHalves(mode) ? 0xa400n : 0xa480n);
  });

  it('should leave LDT, CR2, CR8, the LAPIC’s base and the interrupt bitmap alone', () => {
    for (const [start, end] of Object.values(kept)) {
      expect(sregs.subarray(start, end).every((byte) => byte === 0x5a)).toBe(true);
    }
  });

  it('should have a busy TSS for VMX and one that is available for SVM', () => {
    expect([sregsOf(mode, 0, 'vmcall')[at.tr + 14], sregsOf(mode, 0, 'vmmcall')[at.tr + 14]]).toEqual([0xb, 0x9]);
  });
});

describe.each(callModes.filter((mode) => !isRealMode(mode)))('setEntrySpecialRegisters, %s above CPL 0', (mode) => {
  it.each([1, 2, 3])('should have CPL %i in the selectors and descriptors of code, stack and data', (cpl) => {
    const [user, system] = [sregsOf(mode, cpl), sregsOf(mode)];
    for (const place of [at.cs, at.ss, at.ds]) {
      const { selector, dpl, ...rest } = segmentOf(user, place);
      const { selector: systemSelector, dpl: _, ...systemRest } = segmentOf(system, place);
      expect([selector, dpl]).toEqual([systemSelector | cpl, cpl]);
      expect(rest).toEqual(systemRest);
    }
  });
});

/** Byte offsets in struct kvm_regs (uapi/asm/kvm.h). */
const names = 'rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags'.split(' ');

function entryRegisterValues(mode: Mode, registers: Buffer): Map<string, bigint> {
  const general = quietGeneralRegisters(mode);
  copyGivenRegisters(registers, general);
  return new Map(names.map((name, index) => [name, general.readBigUInt64LE(8 * index)]));
}

describe('general registers', () => {
  const registersOf = (mode: Mode) => {
    const step = makeStep({ do: 'send-ipi', mode, opcode: 'other', targets: [0], rax: 64n });
    return (encodeCase(makeCase([{}], [step])).steps[0] as ProgramCall).registers;
  };

  it('should be what the program gives, patterns elsewhere, and a stack with room for a return address', () => {
    const values = entryRegisterValues('long', registersOf('long'));
    expect(Object.fromEntries(values)).toEqual({
      rax: 64n,
      rbx: 0xa5c3_e100_5a3c_1e00n,
      rcx: 0xbn,
      rdx: 0xe0000n,
      rsi: 0xa5c3_e100_5a3c_1e00n,
      rdi: 0xa5c3_e100_5a3c_1e00n,
      r8: 0n,
      rbp: 0xa5c3_e104_5a3c_1e04n,
      r9: 0xa5c3_e105_5a3c_1e05n,
      r10: 0xa5c3_e106_5a3c_1e06n,
      r11: 0xa5c3_e107_5a3c_1e07n,
      r12: 0xa5c3_e108_5a3c_1e08n,
      r13: 0xa5c3_e109_5a3c_1e09n,
      r14: 0xa5c3_e10a_5a3c_1e0an,
      r15: 0xa5c3_e10b_5a3c_1e0bn,
      rsp: 0xcfc0n,
      rip: 0n,
      rflags: 0x38c7n,
    });
  });

  it('should have no upper halves and no numbered registers where the mode has none', () => {
    for (const mode of callModes.filter((one) => !keepsUpperHalves(one))) {
      const values = entryRegisterValues(mode, registersOf(mode));
      for (const [name, value] of values) {
        expect(value >> 32n).toBe(0n);
        if (/^r\d/.test(name)) expect(value).toBe(0n);
      }
      expect(values.get('rbp')).toBe(0x5a3c_1e04n);
    }
  });

  it('should have upper halves that are not zero in every register of compatibility mode but the stack and the flags', () => {
    const values = entryRegisterValues('compat', registersOf('compat'));
    const clean = [...values].filter(([, value]) => value >> 32n === 0n).map(([name]) => name);
    expect(clean).toEqual(['rsp', 'rip', 'rflags']);
  });

  it('should take every given register from its place, whatever is there', () => {
    const offsets = { rcx: 0, rdx: 8, r8: 16, rax: 24, rbx: 128, rsi: 136, rdi: 144 };
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 152, maxLength: 152 }), fc.constantFrom(...callModes), (bytes, mode) => {
        const registers = Buffer.from(bytes);
        const values = entryRegisterValues(mode, registers);
        for (const [name, offset] of Object.entries(offsets)) {
          expect(values.get(name)).toBe(registers.readBigUInt64LE(offset));
        }
      }),
      { seed: 42, numRuns: 100 },
    );
  });
});
