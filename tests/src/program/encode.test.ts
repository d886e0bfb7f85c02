/** Encoding against bytes that were written by hand from TLFS "Hypercall Inputs" and HV_VP_SET. */
import { describe, expect, it } from 'vitest';
import { type CallStep, makeCase, makeStep, makeVcpu } from '../../../src/case/case.ts';
import { encodeCase, putBanks } from '../../../src/program/encode.ts';
import { plainEnvironment } from '../../../src/case/steps/environment.ts';
import type { ProgramCall } from '../../../src/program/program.ts';

const ones = 'ff'.repeat(8);
const zeros = '00'.repeat(8);
/** RAX of a 64-bit caller when nothing else is asked for: 0xa5c3e1005a3c1e00. */
const usualRax = '001e3c5a00e1c3a5';

/** Mask and banks as 64-bit numbers. */
function banksOf(targets: readonly number[], emptyBanks: readonly number[]): { mask: bigint; banks: bigint[] } {
  const longs = new BigUint64Array(65);
  const count = putBanks(new Uint32Array(longs.buffer), 0, targets, emptyBanks);
  return { mask: longs[0]!, banks: [...longs.subarray(1, 1 + count)] };
}

describe('putBanks', () => {
  it("should encode TLFS's worked example {0, 5, 130}", () => {
    expect(banksOf([0, 5, 130], [])).toEqual({ mask: 0x5n, banks: [0x21n, 0x4n] });
  });

  it('should put VP index 65 into bank 1, bit 1', () => {
    expect(banksOf([65], [])).toEqual({ mask: 0x2n, banks: [0x2n] });
  });

  it('should reach the last bit of the last bank', () => {
    expect(banksOf([4095], [])).toEqual({ mask: 1n << 63n, banks: [1n << 63n] });
  });

  it('should give empty banks, between others and under targets', () => {
    expect(banksOf([63, 128], [1, 2])).toEqual({ mask: 0x7n, banks: [1n << 63n, 0n, 1n] });
  });

  it('should not depend on the order of the targets', () => {
    expect(banksOf([130, 5, 0], [])).toEqual(banksOf([0, 5, 130], []));
  });

  it('should encode all 4096 VPs and none', () => {
    const all = Array.from({ length: 4096 }, (_, vp) => vp);
    expect(banksOf(all, [])).toEqual({ mask: (1n << 64n) - 1n, banks: Array(64).fill((1n << 64n) - 1n) });
    expect(banksOf([], [])).toEqual({ mask: 0n, banks: [] });
  });
});

describe('encodeCase', () => {
  it('should encode a slow send-ipi: control word, addresses, block and tail', () => {
    const call = encodeStep(
      makeStep({
        do: 'send-ipi',
        vector: 0xfe,
        targetVtl: 0x10,
        padding: 0x030201,
        targets: [0, 9, 63],
        outputGpa: 7n,
      }),
    );
    expect(registersOf(call)).toEqual({
      rcx: '0b00000000000000',
      rdx: '00000e0000000000',
      r8: '0700000000000000',
      xmm: ones.repeat(12),
    });
    expect(call.writes).toEqual([
      { gpa: 0xe0000n, bytes: hex('fe000000', '10', '010203', '0102000000000080', ones.repeat(8)) },
    ]);
  });

  it('should encode a fast send-ipi: parameters in RDX and R8, no memory', () => {
    const call = encodeStep(
      makeStep({ do: 'send-ipi', fast: true, vector: 0x31, targets: [2], repCount: 1, repStart: 2, tail: 0n }),
    );
    expect(registersOf(call)).toEqual({
      rcx: '0b00010001000200',
      rdx: '3100000000000000',
      r8: '0400000000000000',
      xmm: zeros.repeat(12),
    });
    expect(call.writes).toEqual([]);
  });

  it('should encode an XMM fast send-ipi-ex: mask in XMM0.lo, banks from XMM0.hi', () => {
    const call = encodeStep(makeStep({ do: 'send-ipi-ex', fast: true, vector: 0xff, targets: [0, 5, 130] }));
    expect(registersOf(call)).toEqual({
      rcx: '1500050000000000',
      rdx: 'ff00000000000000',
      r8: zeros,
      xmm: ['0500000000000000', '2100000000000000', '0400000000000000', ones.repeat(9)].join(''),
    });
  });

  it('should encode a slow send-ipi-ex: mask and banks after the fixed part', () => {
    const call = encodeStep(
      makeStep({ do: 'send-ipi-ex', vector: 0x1_0010, format: 1n, targets: [65], emptyBanks: [63] }),
    );
    expect(registersOf(call).rcx).toBe('1500040000000000');
    const set = ['0100000000000000', '0200000000000080', '0200000000000000', zeros];
    expect(call.writes).toEqual([{ gpa: 0xe0000n, bytes: hex('10000100', '00', '000000', ...set, ones.repeat(8)) }]);
  });

  it('should leave mask, banks and variable header in disagreement', () => {
    const step = makeStep({ do: 'send-ipi-ex', targets: [0, 64], maskFlips: [1, 2, 5], variableHeader: 1023 });
    const call = encodeStep(step);
    expect(registersOf(call).rcx).toBe('1500fe0700000000');
    expect(call.writes[0]!.bytes.subarray(16, 40)).toEqual(
      hex('2500000000000000', '0100000000000000', '0100000000000000'),
    );
  });

  it('should set control bits on top of everything else', () => {
    const call = encodeStep(makeStep({ do: 'send-ipi', controlBits: [27, 31, 63] }));
    expect(registersOf(call).rcx).toBe('0b00008800000080');
  });

  it('should lose the banks that do not fit into registers', () => {
    const targets = Array.from({ length: 12 }, (_, bank) => 64 * bank + bank);
    const call = encodeStep(makeStep({ do: 'send-ipi-ex', fast: true, targets }));
    expect(registersOf(call).rcx).toBe('1500190000000000');
    expect(call.registers.readBigUInt64LE(32 + 8 * 11)).toBe(1n << 10n);
  });

  it('should give each step a slot of its own, and a given address to the step that has it', () => {
    const steps = [makeStep({ do: 'send-ipi' }), makeStep({ do: 'run' }), makeStep({ do: 'send-ipi', sender: 1 })];
    const program = encodeCase(makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], steps));
    expect(program.steps.map((step) => step.kind)).toEqual(['call', 'run', 'call']);
    expect((program.steps[2] as ProgramCall).writes[0]!.gpa).toBe(0xe0800n);
    expect((program.steps[2] as ProgramCall).sender).toBe(1);
    expect(encodeStep(makeStep({ do: 'send-ipi', gpa: 0xf0001n })).writes[0]!.gpa).toBe(0xf0001n);
  });

  it.each([
    [0xfffecn, 20],
    [0xffff8n, 8],
    [0x100000n, null],
    [1n << 40n, null],
    [(1n << 64n) - 1n, null],
  ])('should cut the block at %i off where RAM ends', (gpa, length) => {
    const call = encodeStep(makeStep({ do: 'send-ipi-ex', gpa, targets: [0] }));
    expect(call.writes.map(({ bytes }) => bytes.length)).toEqual(length === null ? [] : [length]);
    expect(call.registers.readBigUInt64LE(8)).toBe(gpa);
  });

  it('should give a caller of 64 bits that is not plain its registers, and patterns in the others', () => {
    const call = encodeStep(makeStep({ do: 'send-ipi', cpl: 3, vector: 0x31, outputGpa: 7n, rax: 11n }));
    expect(call.environment).toEqual({ mode: 'long', cpl: 3, page: null, opcode: 'native', rflags: 'plain' });
    expect(wordsOf(call)).toEqual({
      rcx: 0xbn,
      rdx: 0xe0000n,
      r8: 7n,
      rax: 11n,
      rbx: 0xa5c3_e100_5a3c_1e00n,
      rsi: 0xa5c3_e100_5a3c_1e00n,
      rdi: 0xa5c3_e100_5a3c_1e00n,
    });
    expect(call.writes[0]!.gpa).toBe(0xe0000n);
  });

  it('should put the parameters of a caller of 32 bits into EDX:EAX, EBX:ECX and EDI:ESI', () => {
    const fields = { vector: 0x31, repCount: 1, outputGpa: 0x1_0000_0007n, gpa: 0x12_000f_0000n };
    const call = encodeStep(makeStep({ do: 'send-ipi-ex', mode: 'protected32', targets: [65], ...fields }));
    expect(call.environment).toEqual({ mode: 'protected32', cpl: 0, page: null, opcode: 'native', rflags: 'plain' });
    expect(wordsOf(call)).toEqual({
      rdx: 0x1n,
      rax: 0x2_0015n,
      rbx: 0x12n,
      rcx: 0xf_0000n,
      rdi: 0x1n,
      rsi: 0x7n,
      r8: 0n,
    });
  });

  it('should give a fast caller of 32 bits its first 16 bytes in halves, and the rest in XMM registers', () => {
    const step = makeStep({
      do: 'send-ipi-ex',
      mode: 'unpaged32',
      fast: true,
      vector: 0xfe,
      padding: 1,
      targets: [65],
    });
    const call = encodeStep({ ...step, format: 0x5_0000_0001n });
    expect(wordsOf(call)).toEqual({
      rdx: 0n,
      rax: 0x3_0015n,
      rbx: 0x100n,
      rcx: 0xfen,
      rdi: 0x5n,
      rsi: 0x1n,
      r8: 0n,
    });
    expect(call.registers.toString('hex', 32, 128)).toBe(['0200000000000000'.repeat(2), ones.repeat(10)].join(''));
  });

  it('should leave dirt in the upper halves of compatibility mode, and the caller’s RAX out of it', () => {
    const call = encodeStep(makeStep({ do: 'send-ipi', mode: 'compat', targets: [0], controlBits: [63], rax: 64n }));
    const dirt = 0xa5c3_e100_0000_0000n;
    expect(wordsOf(call)).toEqual({
      rdx: dirt | 0x8000_0000n,
      rax: dirt | 0xbn,
      rbx: dirt,
      rcx: dirt | 0xe0000n,
      rdi: dirt,
      rsi: dirt,
      r8: 0xa5c3_e100_5a3c_1e00n,
    });
  });

  it.each<[string, Partial<CallStep>, boolean]>([
    ['a bare native instruction in 64-bit mode', {}, false],
    ['another mode', { mode: 'real' }, true],
    ['another privilege level', { cpl: 1 }, true],
    ['a page', { page: 0xf0000n }, true],
    ['the other opcode', { opcode: 'other' }, true],
    ['an extended call, which may leave the guest', { controlBits: [15] }, true],
    ['other call codes, which do not', { controlBits: [5, 14, 16] }, false],
  ])('should put some calls into an environment that is not the plain one: %s', (_, fields, isOther) => {
    const step = { ...makeStep({ do: 'send-ipi' }), ...fields } as CallStep;
    const call = encodeStep(step);
    expect(call.environment !== plainEnvironment).toBe(isOther);
    expect(call.registers).toHaveLength(isOther ? 152 : 128);
  });

  it('should put no call of a VM with Xen into the plain environment, as it may leave the guest', () => {
    const value = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi' })], { xen: true });
    expect((encodeCase(value).steps[0] as ProgramCall).environment).toEqual({
      mode: 'long',
      cpl: 0,
      page: null,
      opcode: 'native',
      rflags: 'plain',
    });
  });

  it('should pass on the steps that are no calls', () => {
    const steps = [
      makeStep({ do: 'write-msr', vcpu: 1, msr: 'vp-index', value: 7n, note: 'n' }),
      makeStep({ do: 'set-apic', vcpu: 1, apic: 'enabled' }),
      makeStep({ do: 'init', vcpu: 1 }),
    ];
    expect(encodeCase(makeCase([{}, {}], steps)).steps).toEqual([
      { kind: 'write-msr', vcpu: 1, msr: 'vp-index', value: 7n },
      { kind: 'set-apic', vcpu: 1, apic: 'enabled' },
      { kind: 'init', vcpu: 1 },
    ]);
  });

  it.each([
    [0x200000n, 96],
    [0x201ff8n, 8],
    [0x202000n, null],
    [0x1fffffn, null],
  ])('should cut the block at %i off where the read-only slot ends', (gpa, length) => {
    const call = encodeStep(makeStep({ do: 'send-ipi-ex', gpa, targets: [0] }));
    expect(call.writes.map(({ bytes }) => bytes.length)).toEqual(length === null ? [] : [length]);
  });

  it('should pass the machine on', () => {
    const vcpus = [makeVcpu({ vpIndex: 65, apic: 'xapic', lacks: ['ex-masks'], enforced: true, tpr: 3, irr: [0x40] })];
    const machine = {
      irqchip: 'split',
      xen: true,
      guestOsId: 1n,
      schedule: 7,
      neighbour: null,
      vmmAnswer: 7n,
    } as const;
    const program = encodeCase(makeCase(vcpus, [makeStep({ do: 'run' })], machine));
    expect(program).toEqual({ machine, vcpus, steps: [{ kind: 'run' }] });
  });
});

function encodeStep(step: CallStep): ProgramCall {
  return encodeCase(makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], [step])).steps[0] as ProgramCall;
}

function registersOf({ registers }: ProgramCall) {
  expect(registers).toHaveLength(128);
  expect(registers.toString('hex', 24, 32)).toBe(usualRax);
  const [rcx, rdx, r8] = [0, 8, 16].map((at) => registers.toString('hex', at, at + 8));
  return { rcx, rdx, r8, xmm: registers.toString('hex', 32) };
}

/** General registers of a host-entered call. */
function wordsOf({ registers }: ProgramCall): Record<string, bigint> {
  expect(registers).toHaveLength(152);
  const offsets = { rcx: 0, rdx: 8, r8: 16, rax: 24, rbx: 128, rsi: 136, rdi: 144 };
  return Object.fromEntries(Object.entries(offsets).map(([name, at]) => [name, registers.readBigUInt64LE(at)]));
}

function hex(...parts: string[]): Buffer {
  return Buffer.from(parts.join(''), 'hex');
}
